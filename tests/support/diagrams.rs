//! Railroad diagrams of the grammar's rules, as SVG.

use abnf::types::{Node, Repeat as Times, TerminalValues};
use railroad::{
    Choice, Comment, Diagram, Empty, NonTerminal, Optional, Repeat, Sequence, SimpleEnd, SimpleStart, Terminal, svg,
};

use super::abnf::Grammar;

type Drawn = Box<dyn railroad::Node>;

const STYLE: &str = "
svg.railroad rect.railroad_canvas { fill: #ffffff; stroke: none; }
svg.railroad path { stroke: #333333; stroke-width: 2px; fill: none; }
svg.railroad circle { fill: #333333; }
svg.railroad text { font: 14px monospace; text-anchor: middle; fill: #111111; }
svg.railroad text.comment { font: italic 12px monospace; fill: #555555; }
svg.railroad rect { stroke: #333333; stroke-width: 2px; }
svg.railroad .terminal rect { fill: #d9f0e3; }
svg.railroad .nonterminal rect { fill: #e4e9f7; }
";

/// The diagrams beside those of the verbs: a rule, and the rules that are drawn in their place within it.
const OVERVIEWS: &[(&str, &[&str])] = &[
    ("command-line", &["command"]),
    ("target", &[]),
    ("server-line", &["ok-line", "err-line", "data-line", "event-line"]),
    ("ok-line", &["answer", "ok-", "said"]),
    ("err-line", &["unknown", "limited", "refused", "about"]),
    ("data-line", &["msg-line", "user-line", "channel-line", "gap-line", "help-line"]),
    ("event-line", &["-line"]),
];

/// Every diagram: the rule it shows, which is its file's name, and its SVG.
pub fn draw_all<'a>(grammar: &Grammar, verbs: impl IntoIterator<Item = &'a str>) -> Vec<(String, String)> {
    let verbs = verbs.into_iter().map(|verb| (verb, &[][..]));
    verbs.chain(OVERVIEWS.iter().copied()).map(|(rule, inlined)| (rule.to_owned(), draw(grammar, rule, inlined))).collect()
}

fn draw(grammar: &Grammar, rule: &str, inlined: &[&str]) -> String {
    let pen = Pen { grammar, inlined };
    let line: Vec<Drawn> = vec![Box::new(SimpleStart), pen.node(grammar.definition(rule)), Box::new(SimpleEnd)];
    let mut diagram = Diagram::new(Sequence::new(line));
    diagram.add_css(STYLE);
    diagram.add_element(svg::Element::new("title").text(rule));
    let (width, height) = (railroad::Node::width(&diagram).to_string(), railroad::Node::height(&diagram).to_string());
    diagram.attr("width".to_owned()).or_insert(width);
    diagram.attr("height".to_owned()).or_insert(height);
    format!("{diagram}\n")
}

struct Pen<'a> {
    grammar: &'a Grammar,
    /// Rules drawn in their place, by their names or by how those begin or end.
    inlined: &'a [&'a str],
}

impl Pen<'_> {
    fn node(&self, node: &Node) -> Drawn {
        match node {
            Node::Rulename(name) if self.is_inlined(name) => self.node(self.grammar.definition(name)),
            Node::Rulename(name) => Box::new(NonTerminal::new(name.clone())),
            Node::Group(inner) => self.node(inner),
            Node::Optional(inner) => Box::new(Optional::new(self.node(inner))),
            Node::String(text) => Box::new(Terminal::new(text.value().to_owned())),
            Node::Concatenation(nodes) => Box::new(Sequence::new(nodes.iter().map(|node| self.node(node)).collect())),
            Node::Alternatives(nodes) => Box::new(Choice::new(nodes.iter().map(|node| self.node(node)).collect())),
            Node::Repetition { repeat, node } => self.repetition(repeat, node),
            Node::TerminalValues(TerminalValues::Range(from, to)) => Box::new(Terminal::new(format!("%x{from:02X}-{to:02X}"))),
            Node::TerminalValues(values) => Box::new(Terminal::new(Node::TerminalValues(values.clone()).to_string())),
            Node::Prose(text) => panic!("a grammar for a machine has no prose: <{text}>"),
        }
    }

    fn is_inlined(&self, name: &str) -> bool {
        let means = |&part: &&str| {
            name == part || (part.ends_with('-') && name.starts_with(part)) || (part.starts_with('-') && name.ends_with(part))
        };
        self.inlined.iter().any(means)
    }

    /// A loop, whose way back says how often it may be taken where that is bounded.
    fn repetition(&self, repeat: &Times, node: &Node) -> Drawn {
        let (min, max) = (repeat.min().unwrap_or(0), repeat.max());
        let inner = self.node(node);
        let back: Drawn = match max {
            None if min <= 1 => Box::new(Empty),
            None => Box::new(Comment::new(format!("{min} or more"))),
            Some(max) if max == min => Box::new(Comment::new(format!("{max} in all"))),
            Some(max) => Box::new(Comment::new(format!("at most {max}"))),
        };
        let repeated = Repeat::new(inner, back);
        if min == 0 { Box::new(Optional::new(repeated)) } else { Box::new(repeated) }
    }
}
