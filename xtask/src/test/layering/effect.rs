//! Rule 3 of an operator: what it does to the world are the steps of its plans, decided in `core` and carried out in
//! `act.rs`, one variant each. Writes past the SDK's client are clippy's to find (`clippy.toml`).

use std::path::Path;

use super::{code, line_number};

/// Where a plan is made.
const DECIDES: [&str; 1] = ["core"];
/// Where a step may be named: made, declared, carried out, reported.
const KNOWS_STEPS: [&str; 4] = ["core", "plan", "act", "status"];
/// Where the client may be had: `observe` reads by it.
const KNOWS_CLIENT: [&str; 2] = ["act", "observe"];
/// What adds to a plan.
const PLANNING: [&str; 8] = ["Plan::", "Plan {", "Planned {", "Wait {", ".step(", ".slow_start(", ".wait(", ".groups"];
/// Methods of the client that change nothing.
const READS: [&str; 2] = ["get", "list"];

/// The methods of the SDK's client that write, from its source: a new one is known as soon as it is there.
pub(super) fn write_methods(client: &str) -> Vec<String> {
    let names = code(client).split("pub async fn ").skip(1).map(first_word).collect::<Vec<_>>();
    names.into_iter().filter(|name| !READS.contains(&name.as_str())).collect()
}

/// What a file of an operator breaks.
pub(super) fn judge(path: &Path, text: &str, write_methods: &[String]) -> Vec<String> {
    if !path.iter().any(|part| part == "src") {
        return Vec::new();
    }
    let code = code(text);
    let is_of = |modules: &[&str]| {
        path.iter().filter_map(|part| part.to_str()).any(|part| modules.contains(&part.trim_end_matches(".rs")))
    };
    let is_act = is_of(&["act"]);
    let mut broken = Vec::new();
    let mut complain = |position: usize, what: &str| {
        broken.push(format!("{}:{}: {what}", path.display(), line_number(&code, position)));
    };
    for name in PLANNING.iter().filter(|_| !is_of(&DECIDES)) {
        code.match_indices(name).for_each(|(at, _)| complain(at, "only core makes plans"));
    }
    if !is_of(&KNOWS_STEPS) {
        code.match_indices("Step::").for_each(|(at, _)| complain(at, "only core makes steps"));
    }
    if !is_of(&KNOWS_CLIENT) {
        code.match_indices(".client").for_each(|(at, _)| complain(at, "only act.rs and observe.rs have the client"));
    }
    for (at, method) in calls(&code, write_methods) {
        match is_act {
            false => complain(at, &format!("only act.rs writes, but this calls {method}")),
            true if !code[..at].trim_end().ends_with("client") => {
                complain(at, &format!("{method} is called on something else than the client"));
            }
            true => {}
        }
    }
    if is_act {
        if !code.contains("match step {") {
            complain(0, "act.rs must match on the step");
        }
        arms(&code).filter(|(_, arm)| is_catch_all(arm)).for_each(|(at, arm)| {
            complain(at, &format!("the arm {arm} would take a new variant of Step without a word"));
        });
    }
    broken
}

/// Where one of the methods is called, on whatever it is.
fn calls<'a>(code: &str, methods: &'a [String]) -> Vec<(usize, &'a str)> {
    let found = methods.iter().flat_map(|method| {
        let at = code.match_indices(&format!(".{method}")).map(|(at, _)| at).collect::<Vec<_>>();
        at.into_iter().map(move |at| (at, method.as_str()))
    });
    found.filter(|(at, method)| code[at + 1 + method.len()..].starts_with(['(', ':'])).collect()
}

/// The patterns of one word before `=>`, with where they stand.
fn arms(code: &str) -> impl Iterator<Item = (usize, &str)> {
    code.match_indices("=>").map(|(at, _)| (at, code[..at].lines().next_back().unwrap_or_default().trim()))
}

fn is_catch_all(arm: &str) -> bool {
    let is_name = arm.starts_with(|letter: char| letter == '_' || letter.is_lowercase())
        && arm.chars().all(|letter| letter == '_' || letter.is_alphanumeric());
    is_name && !["true", "false"].contains(&arm)
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACT: &str = "match step {\n    Step::Make => context\n        .client\n        .create(&pod),\n}";

    fn broken(file: &str, text: &str) -> usize {
        let methods = write_methods("pub async fn get<K>(\n    pub async fn create<K>(\n    pub async fn delete<K>(");
        assert_eq!(methods, ["create", "delete"]);
        judge(&Path::new("operators/one/src/pod").join(file), text, &methods).len()
    }

    #[test]
    fn a_write_outside_of_act_or_past_the_client_breaks_rule_3() {
        assert_eq!(broken("act.rs", ACT), 0);
        assert_eq!(broken("act.rs", &ACT.replace(".client", ".api")), 1);
        assert_eq!(broken("observe.rs", "let pod = context.client.get::<Pod>(&key);"), 0);
        assert_eq!(broken("observe.rs", "context.client.delete::<Pod>(&target);"), 1);
        assert_eq!(broken("status.rs", "let client = &context.client;"), 1);
    }

    #[test]
    fn an_act_that_would_pass_over_a_new_step_breaks_rule_3() {
        assert_eq!(broken("act.rs", "if let Step::Make = step {}"), 1);
        for arm in ["_", "other"] {
            assert_eq!(broken("act.rs", &ACT.replace("}", &format!("    {arm} => {{}}\n}}"))), 1, "{arm}");
        }
    }

    #[test]
    fn a_plan_made_outside_of_core_breaks_rule_3() {
        let make = "let mut plan = Plan::default();\nplan.step(Step::Make, \"why\");";
        assert_eq!(broken("core/scale.rs", make), 0);
        assert_eq!(broken("core.rs", make), 0);
        assert_eq!(broken("observe.rs", make), 3);
        assert_eq!(broken("build.rs", "Step::Make"), 1);
        assert_eq!(broken("status.rs", "matches!(step, Step::Make)\n#[cfg(test)]\nlet plan = Plan::default();"), 0);
    }
}
