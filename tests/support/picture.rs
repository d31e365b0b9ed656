//! A terminal's screen as a picture: SVG that any browser and forge shows, the same for the same screen.

use std::fmt::Write;

use vt100::{Cell, Color, Screen};

const CELL: (f32, f32) = (8.4, 18.0);
const MARGIN: f32 = 14.0;
const BACKGROUND: &str = "#1c2128";
const TEXT: &str = "#d7dde4";
const DIM: &str = "#8a949e";
const RED: &str = "#ff7b72";

/// The rows of the screen down to its cursor, in which `changed` may be written for something else of the same length.
pub fn svg(screen: &Screen, title: &str, changed: &[(&str, &str)]) -> String {
    let (last, column) = screen.cursor_position();
    let columns = screen.size().1.get();
    let (width, height) = (f32::from(columns) * CELL.0 + 2.0 * MARGIN, f32::from(last + 1) * CELL.1 + 2.0 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\">\n\
         <title>{}</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{BACKGROUND}\"/>\n\
         <g font-family=\"ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" font-size=\"14\" xml:space=\"preserve\">\n",
        escaped(title)
    );
    for row in 0..=last {
        for (start, cells, style, text) in runs(screen, row, columns) {
            let text = changed.iter().fold(text, |text, (from, to)| text.replace(from, to));
            let (x, y) = (MARGIN + f32::from(start) * CELL.0, MARGIN + f32::from(row) * CELL.1 + 13.5);
            let length = f32::from(cells) * CELL.0;
            let text = escaped(&text);
            writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" textLength=\"{length:.1}\" {style}>{text}</text>").expect("memory");
        }
    }
    let (x, y) = (MARGIN + f32::from(column) * CELL.0, MARGIN + f32::from(last) * CELL.1);
    writeln!(svg, "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{}\" height=\"{}\" fill=\"{TEXT}\"/>", CELL.0, CELL.1)
        .expect("memory");
    svg + "</g>\n</svg>\n"
}

/// Where a run of one style begins, how many cells it has, its style and its text. What is blank at the end is left out.
fn runs(screen: &Screen, row: u16, columns: u16) -> Vec<(u16, u16, String, String)> {
    let mut runs: Vec<(u16, u16, String, String)> = Vec::new();
    for column in 0..columns {
        let Some(cell) = screen.cell(row, column).filter(|cell| !cell.is_wide_continuation()) else { continue };
        let cells = if cell.is_wide() { 2 } else { 1 };
        let text = if cell.has_contents() { cell.contents() } else { " " };
        let style = style(cell);
        match runs.last_mut().filter(|run| run.2 == style) {
            Some(run) => {
                run.1 += cells;
                run.3.push_str(text);
            }
            None => runs.push((column, cells, style, text.to_owned())),
        }
    }
    for run in &mut runs {
        let blanks = run.3.len() - run.3.trim_end_matches(' ').len();
        run.1 -= blanks as u16;
        run.3.truncate(run.3.len() - blanks);
    }
    runs.retain(|run| !run.3.is_empty());
    runs
}

fn style(cell: &Cell) -> String {
    let colour = match cell.fgcolor() {
        Color::Idx(1 | 9) => RED,
        _ if cell.dim() => DIM,
        _ => TEXT,
    };
    let weight = if cell.bold() { " font-weight=\"bold\"" } else { "" };
    format!("fill=\"{colour}\"{weight}")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Panics unless every tag of a text is closed in its order, and every attribute is quoted.
pub fn assert_well_formed(svg: &str) {
    let mut open = Vec::new();
    for part in svg.split('<').skip(1) {
        let (tag, text) = part.split_once('>').unwrap_or_else(|| panic!("a tag without end: {part}"));
        assert!(!text.contains('>') && text.split('&').skip(1).all(|entity| entity.contains(';')), "{text}");
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "{part}");
        } else if !tag.ends_with('/') {
            open.push(tag.split(' ').next().unwrap_or_default());
        }
    }
    assert!(svg.starts_with("<svg ") && open.is_empty(), "not closed: {open:?}");
}
