//! What the environment says of how to serve: the variables that begin as settings do.
//!
//! It owns those. It must never pass over one that was meant to be a setting.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use anyhow::{Context, Result, bail};
use clap::Arg;

use super::{CONFIG, Origin, Setting, add_each, is_list, is_switch, name, variable};

/// How variables of ours begin.
pub const PREFIX: &str = "LINECHAT_";
/// Variables of ours that are no settings: those of the examples, and of scripts/cluster.
const OTHERS: [&str; 4] = ["LINECHAT_LOGIN", "LINECHAT_TOKEN", "LINECHAT_PORT", "LINECHAT_CLUSTER"];

/// From so many slips on it is another name.
const SLIPS: usize = 2;

/// Whether Kubernetes makes such a variable for a service: `..._SERVICE_HOST`, `..._PORT`, `..._PORT_12000_TCP_ADDR`.
fn is_of_a_service(variable: &str) -> bool {
    let is_numbered = |(_, rest): (&str, &str)| rest.starts_with(|first: char| first.is_ascii_digit());
    variable.contains("_SERVICE_") || variable.ends_with("_PORT") || variable.split_once("_PORT_").is_some_and(is_numbered)
}

/// The variables that are ours by their names.
pub struct Environment(BTreeMap<String, OsString>);

impl Environment {
    pub fn new(variables: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let named = variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        Self(named.filter(|(name, _)| name.starts_with(PREFIX)).collect())
    }

    /// The variables that are no settings. One whose name is almost a setting's is an error, as it would be in the file. Of others it is
    /// only said that they change nothing: Kubernetes gives every program a dozen for each service that is called linechat or linechat-nats.
    pub fn unknown(&self, options: &[Arg]) -> Result<Vec<String>> {
        let is_known = |it: &str| OTHERS.contains(&it) || options.iter().any(|option| variable(name(option)) == it);
        let unknown: Vec<_> = self.0.keys().filter(|it| !is_known(it)).cloned().collect();
        for it in &unknown {
            let typed = it[PREFIX.len()..].replace('_', "-").to_lowercase();
            let slips = |option: &&str| strsim::osa_distance(&typed, option);
            let nearest = options.iter().map(name).min_by_key(slips).filter(|option| slips(option) <= SLIPS);
            if let Some(meant) = nearest.filter(|_| !is_of_a_service(it)) {
                bail!("{it}: there is no setting of that name (is '{}' meant?)", variable(meant));
            }
        }
        Ok(unknown)
    }

    /// The settings.
    pub fn settings(&self, options: &[Arg]) -> Result<Vec<Setting>> {
        let mut set = Vec::new();
        for option in options {
            let variable = variable(name(option));
            let is_given = |value: &&OsString| !value.is_empty() || name(option) == CONFIG;
            let Some(value) = self.0.get(&variable).filter(is_given) else { continue };
            let values = if is_list(option) {
                let text = value.to_str().with_context(|| format!("{variable} is not UTF-8"))?;
                text.split(',').map(|one| one.trim().into()).collect()
            } else if is_switch(option) {
                vec![switch(value).with_context(|| format!("{variable}: {value:?} is neither true nor false"))?.into()]
            } else {
                vec![value.clone()]
            };
            add_each(&mut set, name(option), values, &Origin::Environment(variable));
        }
        Ok(set)
    }
}

fn switch(value: &OsStr) -> Option<&'static str> {
    match value.to_str()? {
        "true" | "yes" | "on" | "1" => Some("true"),
        "false" | "no" | "off" | "0" => Some("false"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Environment;
    use crate::cli::settings::options;

    #[test]
    fn a_variable_that_is_almost_a_setting_is_one_that_was_misspelt() {
        let of = |variable: &str| {
            let environment = Environment::new([(variable.into(), "x".into())].into_iter());
            environment.unknown(&options()).map_err(|error| error.to_string())
        };
        for (variable, meant) in [
            ("LINECHAT_LISEN", "LINECHAT_LISTEN"),
            ("LINECHAT_REGISTATION", "LINECHAT_REGISTRATION"),
            ("LINECHAT_LIMITS", "LINECHAT_LIMIT"),
            ("LINECHAT_TLSCERT", "LINECHAT_TLS_CERT"),
            ("LINECHAT_DATADIR", "LINECHAT_DATA_DIR"),
        ] {
            assert_eq!(of(variable), Err(format!("{variable}: there is no setting of that name (is '{meant}' meant?)")));
        }
        for variable in [
            "LINECHAT_RECORD",
            "LINECHAT_SEED",
            "LINECHAT_LOG_LEVEL",
            "LINECHAT_NODE_NAME",
            "LINECHAT_SERVICE_HOST",
            "LINECHAT_PORT_12000_TCP_ADDR",
            "LINECHAT_NATS_PORT",
            "LINECHAT_NATS_SERVICE_PORT",
            "LINECHAT_TLS_SERVICE_HOST",
            "LINECHAT_METRICS_PORT_9480_TCP",
        ] {
            assert_eq!(of(variable), Ok(vec![variable.to_owned()]));
        }
        for variable in ["LINECHAT_LISTEN", "LINECHAT_LOG", "LINECHAT_LOGIN", "LINECHAT_TOKEN"] {
            assert_eq!(of(variable), Ok(vec![]));
        }
    }
}
