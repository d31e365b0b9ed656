//! A grammar in ABNF as a program: whether bytes are of a rule, and random bytes that are.
//!
//! Shares nothing with the server's parser. Exact: it follows every way in which a rule can match, never the first one only.
//! Rules that refer to themselves and repetitions of what may be empty are refused, so that every search ends.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use abnf::types::{Kind, Node, Rule, TerminalValues};
use proptest::prelude::RngExt;
use proptest::test_runner::{RngAlgorithm, TestRng};

/// The text of the protocol's grammar.
pub const LINECHAT: &str = include_str!("../../grammar/linechat.abnf");

/// Rules, ready to match and to generate.
pub struct Grammar {
    source: Vec<Rule>,
    parts: Vec<Part>,
    rules: HashMap<String, usize>,
}

/// A set of octets.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Octets([u64; 4]);

/// What a part of a rule is. Numbers are places in [`Grammar::parts`].
#[derive(Clone)]
enum Form {
    Octet(Octets),
    /// Bytes, and whether capitals and small letters differ.
    Literal(Vec<u8>, bool),
    Sequence(Vec<usize>),
    Choice(Vec<usize>),
    /// `run` holds the octets that are the inner part by themselves and can begin nothing else of it.
    Repeat {
        min: usize,
        max: usize,
        inner: usize,
        run: Octets,
    },
}

struct Part {
    form: Form,
    /// The octets it can begin with.
    first: Octets,
    may_be_empty: bool,
}

/// A random source that gives the same numbers for the same seed.
pub fn seeded(seed: u64) -> TestRng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)
}

impl Grammar {
    /// The protocol's grammar, read once for all tests of a program.
    pub fn load() -> &'static Self {
        static LOADED: LazyLock<Grammar> = LazyLock::new(|| Grammar::parse(LINECHAT));
        &LOADED
    }

    /// A grammar from its text. Panics on whatever is wrong with it.
    pub fn parse(text: &str) -> Self {
        let source = abnf::rulelist(text).unwrap_or_else(|error| panic!("not ABNF: {error}"));
        let mut names = BTreeSet::new();
        for rule in &source {
            assert!(rule.kind() == Kind::Basic && names.insert(rule.name()), "{} is defined twice", rule.name());
        }
        let mut builder = Builder { source: &source, parts: Vec::new(), rules: HashMap::new(), open: Vec::new() };
        for rule in &source {
            builder.rule(rule.name());
        }
        let Builder { parts, rules, .. } = builder;
        Self { source, parts, rules }
    }

    /// The rules as they stand in the text.
    pub fn source(&self) -> &[Rule] {
        &self.source
    }

    /// The definition of a rule. Panics when there is none.
    pub fn definition(&self, rule: &str) -> &Node {
        self.source.iter().find(|r| r.name() == rule).unwrap_or_else(|| panic!("there is no rule {rule}")).node()
    }

    /// Whether the whole of `bytes` is a `rule`.
    pub fn matches(&self, rule: &str, bytes: &[u8]) -> bool {
        let mut ends = Vec::new();
        self.ends(self.place(rule), bytes, 0, &mut ends);
        ends.contains(&bytes.len())
    }

    /// Random bytes that are a `rule`.
    pub fn generate(&self, rule: &str, rng: &mut TestRng) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(self.place(rule), rng, &mut out);
        out
    }

    fn place(&self, rule: &str) -> usize {
        *self.rules.get(rule).unwrap_or_else(|| panic!("there is no rule {rule}"))
    }

    /// Adds every place where a match of `part` that begins at `at` can end. A place may be added more than once.
    fn ends(&self, part: usize, input: &[u8], at: usize, out: &mut Vec<usize>) {
        let Part { form, first, may_be_empty } = &self.parts[part];
        if !may_be_empty && !input.get(at).is_some_and(|&byte| first.has(byte)) {
            return;
        }
        match form {
            Form::Octet(_) => out.push(at + 1),
            Form::Literal(bytes, exact) => {
                let end = at + bytes.len();
                let found = input.get(at..end);
                if found.is_some_and(|found| if *exact { found == bytes } else { found.eq_ignore_ascii_case(bytes) }) {
                    out.push(end);
                }
            }
            Form::Choice(parts) => parts.iter().for_each(|&part| self.ends(part, input, at, out)),
            Form::Sequence(parts) => {
                let mut places = vec![at];
                for &part in parts {
                    places = self.step(part, input, &places);
                    if places.is_empty() {
                        return;
                    }
                }
                out.append(&mut places);
            }
            Form::Repeat { min, max, inner, run } => self.repeat(*inner, (*min, *max), run, input, at, out),
        }
    }

    /// Every place where a match of `part` that begins at one of `places` can end, in order and each once.
    fn step(&self, part: usize, input: &[u8], places: &[usize]) -> Vec<usize> {
        let mut next = Vec::new();
        for &place in places {
            self.ends(part, input, place, &mut next);
        }
        if !next.is_sorted_by(|a, b| a < b) {
            next.sort_unstable();
            next.dedup();
        }
        next
    }

    fn repeat(&self, inner: usize, (min, max): (usize, usize), run: &Octets, input: &[u8], at: usize, out: &mut Vec<usize>) {
        let (mut places, mut count) = (vec![at], 0);
        if min == 0 {
            out.push(at);
        }
        while count < max && !places.is_empty() {
            if let [place] = places[..] {
                let length = input[place..].iter().take(max - count).take_while(|&&byte| run.has(byte)).count();
                if length > 0 {
                    let enough = min.saturating_sub(count).max(1);
                    out.extend(place + enough..=place + length);
                    places[0] = place + length;
                    count += length;
                    continue;
                }
            }
            places = self.step(inner, input, &places);
            count += 1;
            if count >= min {
                out.extend_from_slice(&places);
            }
        }
    }

    fn write(&self, part: usize, rng: &mut TestRng, out: &mut Vec<u8>) {
        match &self.parts[part].form {
            Form::Octet(octets) => out.push(octets.member(rng.random_range(0..octets.count()))),
            Form::Literal(bytes, true) => out.extend_from_slice(bytes),
            Form::Literal(bytes, false) => {
                let flip = |byte: &u8| if rng.random() { byte.to_ascii_lowercase() } else { byte.to_ascii_uppercase() };
                out.extend(bytes.iter().map(flip));
            }
            Form::Sequence(parts) => parts.iter().for_each(|&part| self.write(part, rng, out)),
            // Half of what is one octet or something longer is one octet, or every text would be in rare scripts.
            Form::Choice(parts) => {
                let last = parts.len() - 1;
                let simple = matches!(self.parts[parts[last]].form, Form::Octet(_)) && rng.random();
                let chosen = if simple { last } else { rng.random_range(0..=last) };
                self.write(parts[chosen], rng, out);
            }
            Form::Repeat { min, max, inner, .. } => {
                let spread = match rng.random_range(0..8) {
                    0 => 0,
                    1 => 64,
                    _ => rng.random_range(0..8),
                };
                for _ in 0..min.saturating_add(spread).min(*max) {
                    self.write(*inner, rng, out);
                }
            }
        }
    }
}

impl Octets {
    const NONE: Self = Self([0; 4]);

    fn range(from: u8, to: u8) -> Self {
        let mut octets = Self::NONE;
        (from..=to).for_each(|byte| octets.0[usize::from(byte / 64)] |= 1 << (byte % 64));
        octets
    }

    fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte / 64)] & (1 << (byte % 64)) != 0
    }

    fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// The member before which there are `nth` others.
    fn member(&self, mut nth: u32) -> u8 {
        for (word, base) in self.0.into_iter().zip((0..=192).step_by(64)) {
            if nth < word.count_ones() {
                let rest = (0..nth).fold(word, |word, _| word & (word - 1));
                return base + u8::try_from(rest.trailing_zeros()).expect("a word has 64 bits");
            }
            nth -= word.count_ones();
        }
        panic!("a set of octets has no member {nth}")
    }

    fn or(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] | other.0[word]))
    }

    fn without(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] & !other.0[word]))
    }
}

/// Makes parts of rules, each rule once and those it refers to first.
struct Builder<'a> {
    source: &'a [Rule],
    parts: Vec<Part>,
    rules: HashMap<String, usize>,
    open: Vec<String>,
}

impl Builder<'_> {
    fn rule(&mut self, name: &str) -> usize {
        if let Some(&place) = self.rules.get(name) {
            return place;
        }
        assert!(!self.open.iter().any(|open| open == name), "the rule {name} refers to itself");
        let source = self.source;
        let rule = source.iter().find(|rule| rule.name() == name).unwrap_or_else(|| panic!("there is no rule {name}"));
        self.open.push(name.to_owned());
        let place = self.node(rule.node());
        self.open.pop();
        self.rules.insert(name.to_owned(), place);
        place
    }

    fn node(&mut self, node: &Node) -> usize {
        let form = match node {
            Node::Rulename(name) => return self.rule(name),
            Node::Group(inner) => return self.node(inner),
            Node::String(text) => Form::Literal(text.value().into(), text.is_case_sensitive()),
            Node::TerminalValues(TerminalValues::Range(from, to)) => Form::Octet(Octets::range(octet(*from), octet(*to))),
            Node::TerminalValues(TerminalValues::Concatenation(values)) => match values[..] {
                [value] => Form::Octet(Octets::range(octet(value), octet(value))),
                _ => Form::Literal(values.iter().map(|&value| octet(value)).collect(), true),
            },
            Node::Concatenation(nodes) => Form::Sequence(nodes.iter().map(|node| self.node(node)).collect()),
            Node::Alternatives(nodes) => {
                let places = nodes.iter().map(|node| self.node(node)).collect();
                self.choice(places)
            }
            Node::Optional(inner) => self.repetition(inner, 0, 1),
            Node::Repetition { repeat, node } => {
                self.repetition(node, repeat.min().unwrap_or(0), repeat.max().unwrap_or(usize::MAX))
            }
            Node::Prose(text) => panic!("a grammar for a machine has no prose: <{text}>"),
        };
        self.add(form)
    }

    /// A choice in which all single octets are one set.
    fn choice(&mut self, places: Vec<usize>) -> Form {
        let (mut octets, mut others) = (Octets::NONE, Vec::new());
        for place in places {
            match &self.parts[place].form {
                Form::Octet(more) => octets = octets.or(*more),
                Form::Literal(bytes, true) if bytes.len() == 1 => octets = octets.or(Octets::range(bytes[0], bytes[0])),
                _ => others.push(place),
            }
        }
        if others.is_empty() {
            return Form::Octet(octets);
        }
        if octets != Octets::NONE {
            others.push(self.add(Form::Octet(octets)));
        }
        Form::Choice(others)
    }

    fn repetition(&mut self, inner: &Node, min: usize, max: usize) -> Form {
        let inner = self.node(inner);
        assert!(!self.parts[inner].may_be_empty, "what is repeated or optional may be empty: {:?}", self.open);
        Form::Repeat { min, max, inner, run: self.lone(inner) }
    }

    /// The octets that are `part` by themselves and begin nothing else of it.
    fn lone(&self, part: usize) -> Octets {
        match &self.parts[part].form {
            Form::Octet(octets) => *octets,
            Form::Choice(parts) => {
                let whole = parts.iter().map(|&part| self.lone(part)).fold(Octets::NONE, Octets::or);
                let shared = |&part: &usize| self.parts[part].first.without(self.lone(part));
                whole.without(parts.iter().map(shared).fold(Octets::NONE, Octets::or))
            }
            _ => Octets::NONE,
        }
    }

    fn add(&mut self, form: Form) -> usize {
        let part = |place: &usize| &self.parts[*place];
        let (first, may_be_empty) = match &form {
            Form::Octet(octets) => (*octets, false),
            Form::Literal(bytes, exact) => match bytes.first() {
                None => (Octets::NONE, true),
                Some(&byte) if *exact => (Octets::range(byte, byte), false),
                Some(byte) => {
                    let (small, large) = (byte.to_ascii_lowercase(), byte.to_ascii_uppercase());
                    (Octets::range(small, small).or(Octets::range(large, large)), false)
                }
            },
            Form::Choice(parts) => {
                let first = parts.iter().map(|place| part(place).first).fold(Octets::NONE, Octets::or);
                (first, parts.iter().any(|place| part(place).may_be_empty))
            }
            Form::Sequence(parts) => {
                let leading = parts.iter().take_while(|place| part(place).may_be_empty).count();
                let first = parts.iter().take(leading + 1).map(|place| part(place).first).fold(Octets::NONE, Octets::or);
                (first, leading == parts.len())
            }
            Form::Repeat { min, inner, .. } => (part(inner).first, *min == 0),
        };
        self.parts.push(Part { form, first, may_be_empty });
        self.parts.len() - 1
    }
}

fn octet(value: u32) -> u8 {
    u8::try_from(value).unwrap_or_else(|_| panic!("%x{value:X} is no octet: UTF-8 is spelled out in this grammar"))
}
