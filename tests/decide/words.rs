//! What an answer says, to be held against what the model expects.

use linechat::event::Answer;

/// What an answer says, as words; and the number that may be new in it.
pub fn words(answer: &Answer) -> (String, u64) {
    match answer {
        Answer::Done => ("done".into(), 0),
        Answer::Who(who) => (who.to_string(), who.id.0),
        Answer::LoggedIn(who, unread) => (format!("{who} {unread}"), 0),
        Answer::Channel(name) => (format!("#{name}"), 0),
        Answer::About(name, what) => (format!("#{name} {what}"), 0),
        Answer::Joined(name, members) => (format!("#{name} {members}"), 0),
        Answer::Said { seq, time, dup: true } => (format!("{seq} {} dup", time.0), seq.0),
        Answer::Said { seq, time, dup: false } => (format!("{seq} {}", time.0), seq.0),
        Answer::SaidAway { seq, time, absence: it } => {
            (format!("{seq} {} away {} {} {}", time.0, it.who, it.since.0, it.text), seq.0)
        }
        Answer::Acked(seq) => (seq.to_string(), 0),
        Answer::AckedIn(name, seq) => (format!("#{name} {seq}"), 0),
        Answer::Text(text) => (text.to_string(), 0),
    }
}
