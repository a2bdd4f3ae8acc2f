//! Logins from the configuration: [config] alice = "s3cret".
#[path = "../dunlin.rs"]
mod dunlin;
use dunlin::*;

#[derive(Default)]
struct Logins(Config);

impl Plugin for Logins {
    fn configure(&mut self, config: &Config) -> Result<(), String> {
        self.0 = config.clone();
        Ok(())
    }
}

impl Handlers for Logins {
    fn authenticate(&mut self, r: Auth<'_>) -> Verdict {
        match self.0.iter().find(|(user, _)| user == r.username()) {
            None => Verdict::next(), // not mine: ask the next plugin
            Some((_, want)) if !same(r.password(), want.as_bytes()) => Verdict::deny(REASON_BAD_USER_OR_PASSWORD).text("wrong password"),
            Some((user, _)) => Verdict::allow()
                .put(EXT_PRINCIPAL, user.as_bytes())
                .permit(PERMIT_EVERYTHING, &format!("u/{}/#", user)), // the broker checks it itself
        }
    }
}

plugin!(Logins: authenticate);
