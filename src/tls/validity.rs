//! From when until when a certificate is valid: no more is read of it here, and nothing is judged but the time.
//!
//! It owns nothing. It must never keep a certificate from being used: whoever connects decides what an old one is worth to them.

use tokio_rustls::rustls::pki_types::CertificateDer;
use yasna::{ASN1Result, BERReader, BERReaderSeq, Tag};

/// The seconds since 1970 from which and until which a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// From then.
    pub from: i64,
    /// Until then.
    pub until: i64,
}

impl Validity {
    /// What stands in a certificate; `None` if that cannot be read.
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        // RFC 5280, section 4.1: Certificate, in it TBSCertificate, in it version, serialNumber, signature, issuer, validity.
        let read = |certificate: BERReader<'_, '_>| {
            certificate.read_sequence(|certificate| {
                let validity = certificate.next().read_sequence(|signed| {
                    signed.read_optional(|version| version.read_tagged(Tag::context(0), |version| version.read_der()))?;
                    for _ in ["serial number", "algorithm", "issuer"] {
                        signed.next().read_der()?;
                    }
                    let validity = signed.next().read_sequence(|dates| Ok(Self { from: date(dates)?, until: date(dates)? }))?;
                    skip(signed)?;
                    Ok(validity)
                })?;
                skip(certificate)?;
                Ok(validity)
            })
        };
        yasna::parse_der(certificate, read).ok()
    }
}

/// A date until 2049 is written in one way, and a later one in another.
fn date(dates: &mut BERReaderSeq<'_, '_>) -> ASN1Result<i64> {
    match dates.read_optional(|date| date.read_utctime())? {
        Some(date) => Ok(date.datetime().unix_timestamp()),
        None => Ok(dates.next().read_generalized_time()?.datetime().unix_timestamp()),
    }
}

fn skip(rest: &mut BERReaderSeq<'_, '_>) -> ASN1Result<()> {
    while rest.read_optional(|one| one.read_der())?.is_some() {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::{CertificateDer, Validity};

    #[test]
    fn dates_of_both_forms_are_read() {
        for (from, until, seconds) in [(1999, 2049, (915_148_800, 2_493_072_000)), (2049, 2050, (2_493_072_000, 2_524_608_000))]
        {
            let mut wanted = CertificateParams::new(["localhost".to_owned()]).unwrap();
            (wanted.not_before, wanted.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
            let certificate = wanted.self_signed(&KeyPair::generate().unwrap()).unwrap();
            assert_eq!(Validity::of(certificate.der()), Some(Validity { from: seconds.0, until: seconds.1 }));
            for end in 0..certificate.der().len() {
                assert_eq!(Validity::of(&CertificateDer::from(&certificate.der()[..end])), None, "{end}");
            }
        }
    }
}
