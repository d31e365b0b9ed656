//! The pace of an address: how fast the commands of all its connections are taken together. Nobody is refused, they wait.
//!
//! It owns until when each address has used up what it may, also after its connections have gone: whoever is in debt, leaves and
//! comes back still is. It remembers no address for longer than it owes something, and only so many.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use foldhash::HashMap;
use tokio::time::Instant;

use crate::clock;
use crate::limits::{DEBT_SECONDS, Limits, NONE, PACED_ADDRESSES};

/// How much may be saved up.
const BURST: Duration = Duration::from_secs(1);
/// Tokens are taken so much of a second at a time, so that few commands look at the shared count.
const LEASES_A_SECOND: u64 = 1000;

/// Tokens that a connection has taken from its address.
#[derive(Debug, Default)]
pub struct Lease {
    /// How many of them are not used.
    left: u64,
    /// All of them so far.
    taken: u64,
}

/// When each address will have earned what it has taken. A second is the burst, so whoever has earned it by now may take a second's
/// worth at once.
pub struct Pace {
    per_second: u64,
    earned: Mutex<HashMap<IpAddr, Instant>>,
}

impl Pace {
    /// Nobody has taken anything yet.
    pub fn new(limits: &Limits) -> Self {
        Self { per_second: limits.commands_per_address, earned: Mutex::default() }
    }

    /// Takes tokens for a connection that has `left` of the ones `taken`, more than these if it has too few. Returns how long it
    /// must wait now, if it must. What it does not earn in [`DEBT_SECONDS`] is let off.
    pub fn take(&self, address: IpAddr, cost: u64, Lease { left, taken }: &mut Lease) -> Option<Duration> {
        if let Some(rest) = left.checked_sub(cost) {
            *left = rest;
            return None;
        }
        if self.per_second == NONE {
            return None;
        }
        // No more ahead than the connection has had: what is left of it at its end is lost.
        let ahead = (self.per_second / LEASES_A_SECOND).min(*taken);
        let lacking = cost - *left;
        let tokens = lacking.max(ahead);
        *left = tokens - lacking;
        *taken = taken.saturating_add(tokens);
        self.spend(address, tokens, clock::now())
    }

    fn spend(&self, address: IpAddr, tokens: u64, now: Instant) -> Option<Duration> {
        let most = Duration::from_secs(DEBT_SECONDS.unsigned_abs());
        let cost = Duration::from_secs_f64((tokens as f64 / self.per_second as f64).min((BURST + most).as_secs_f64()));
        let mut earned = self.earned();
        if earned.len() >= PACED_ADDRESSES && !earned.contains_key(&address) {
            // Whoever is forgotten begins anew, and its connections are still paced one by one.
            earned.clear();
        }
        let earned = earned.entry(address).or_insert(now);
        *earned = ((*earned).max(now) + cost).min(now + BURST + most);
        (*earned).checked_duration_since(now + BURST).filter(|wait| !wait.is_zero())
    }

    /// Forgets the addresses that have earned what they took.
    pub fn sweep(&self) {
        let now = clock::now();
        self.earned().retain(|_, earned| *earned > now);
    }

    fn earned(&self) -> MutexGuard<'_, HashMap<IpAddr, Instant>> {
        self.earned.lock().expect("invariant: nothing panics under this lock")
    }
}

#[cfg(test)]
mod tests {
    use super::{BURST, DEBT_SECONDS, Duration, IpAddr, Lease, Limits, NONE, PACED_ADDRESSES, Pace, clock};

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn pace(commands_per_address: u64) -> Pace {
        Pace::new(&Limits { commands_per_address, ..Limits::default() })
    }

    #[test]
    fn an_address_has_a_second_at_once_and_waits_for_what_it_takes_beyond() {
        let (pace, now) = (pace(100), clock::now());
        assert_eq!(pace.spend(HOME, 100, now), None);
        assert_eq!(pace.spend(HOME, 50, now), Some(Duration::from_millis(500)));
        assert_eq!(pace.spend(HOME, 50, now), Some(Duration::from_secs(1)), "each waits for those before");
        assert_eq!(pace.spend(HOME, 50, now + 2 * BURST), None);
        let other = IpAddr::from([192, 0, 2, 1]);
        assert_eq!(pace.spend(other, 100, now), None, "another address is another matter");
    }

    #[test]
    fn debt_is_bounded_and_so_is_what_is_remembered() {
        let (pace, now) = (pace(100), clock::now());
        let most = Some(Duration::from_secs(DEBT_SECONDS.unsigned_abs()));
        assert_eq!(pace.spend(HOME, u64::MAX, now), most);
        assert_eq!(pace.spend(HOME, u64::MAX, now), most);
        for number in 0..PACED_ADDRESSES {
            pace.spend(IpAddr::from(u32::try_from(number).expect("it is small").to_be_bytes()), 1, now);
        }
        assert!(pace.earned().len() <= PACED_ADDRESSES);
    }

    #[test]
    fn few_commands_look_at_the_shared_count() {
        let pace = pace(50_000);
        let mut lease = Lease::default();
        let mut looks = 0;
        for _ in 0..1000 {
            let before = lease.taken;
            assert_eq!(pace.take(HOME, 1, &mut lease), None);
            looks += usize::from(lease.taken > before);
            assert!(lease.left < 50 && lease.left <= before, "it takes no more ahead than it has had");
        }
        assert!((20..40).contains(&looks), "{looks}");
        assert_eq!(self::pace(NONE).take(HOME, 1_000_000, &mut lease), None);
    }
}
