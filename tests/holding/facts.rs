//! What three people know to be so, because it was answered OK. It owns what they know; it never speaks to a server.

use std::collections::BTreeMap;

/// What holds, each under a name of its own, with its value; [`ANY`] where that was never told.
pub type Facts = BTreeMap<String, String>;

/// A value that nobody was told.
pub const ANY: &str = "?";

/// What a line does if it is done: what holds from then on, and (`None`) what no longer does.
#[derive(Debug, Clone, Default)]
pub struct Change(Vec<(String, Option<String>)>);

impl Change {
    /// With this, something holds too.
    pub fn and(mut self, name: String, value: impl Into<String>) -> Self {
        self.0.push((name, Some(value.into())));
        self
    }

    /// With this, something does not hold any more.
    pub fn without(mut self, name: String) -> Self {
        self.0.push((name, None));
        self
    }

    /// What it changes.
    #[allow(dead_code, reason = "only a cluster may not know for long")]
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(name, _)| name.clone())
    }

    /// Does it. Where a value is not known before the answer, it is `told` by that.
    pub fn apply(&self, facts: &mut Facts, told: Option<&str>) {
        for (name, value) in &self.0 {
            match value.as_deref() {
                None => drop(facts.remove(name)),
                Some(ANY) => drop(facts.insert(name.clone(), told.unwrap_or(ANY).to_owned())),
                Some(value) => drop(facts.insert(name.clone(), value.to_owned())),
            }
        }
    }
}

/// In what the server shows something else than what holds.
pub fn differences(holds: &Facts, shown: &Facts) -> Vec<String> {
    let (mut all, mut found): (Vec<_>, Vec<String>) = (holds.keys().chain(shown.keys()).collect(), Vec::new());
    all.sort_unstable();
    all.dedup();
    for name in all {
        let (expected, is) = (holds.get(name), shown.get(name));
        if expected != is && !(expected.is_some_and(|value| value == ANY) && is.is_some()) {
            found.push(format!("{name}: {expected:?} was answered OK, and {is:?} is shown"));
        }
    }
    found
}
