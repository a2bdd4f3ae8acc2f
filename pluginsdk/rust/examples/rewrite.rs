//! Moves old topics, drops empty messages, keeps secrets in.
#[path = "../dunlin.rs"]
mod dunlin;
use dunlin::*;

#[derive(Default)]
struct Mover;

impl Plugin for Mover {}

impl Handlers for Mover {
    fn publish(&mut self, r: Message<'_>) -> Verdict {
        if r.topic().starts_with("secret/") {
            return Verdict::deny(REASON_NOT_AUTHORIZED).text("secret");
        }
        if r.aux() == 0 {
            return Verdict::drop(); // an empty message
        }
        match r.topic().strip_prefix("old/") {
            Some(rest) => Verdict::rewrite().put(EXT_TOPIC, format!("new/{}", rest).as_bytes()).set_flags(FLAG_RETAIN, 0),
            None => Verdict::next(),
        }
    }
}

plugin!(Mover: publish);
