//! Own topics, and a part of the tree that nobody writes to.
#[path = "../dunlin.rs"]
mod dunlin;
use dunlin::*;

#[derive(Default)]
struct Own;

impl Plugin for Own {}

impl Handlers for Own {
    fn acl(&mut self, r: Acl<'_>) -> Verdict {
        let user = r.username();
        let rest = r.topic().strip_prefix("u/").and_then(|t| t.strip_prefix(user));
        if !user.is_empty() && rest.map_or(false, |t| t.starts_with('/')) {
            return Verdict::allow().cache(60_000);
        }
        if r.topic().starts_with("admin/") && r.flags() & FLAG_PUBLISH != 0 {
            return Verdict::deny(REASON_NOT_AUTHORIZED);
        }
        Verdict::next()
    }
}

plugin!(Own: acl);
