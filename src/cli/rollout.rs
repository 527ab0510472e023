//! `rollout`: progress of rollouts in the running proxy, and changes of their course.

use std::{borrow::Cow, fmt::Write as _};

use super::{
    args::{Args, OutputFormat, RolloutArg, RolloutArgs},
    client::{Client, segment},
    exit_code::{CommandError, Exit},
    operate::JSON,
    print,
};
use crate::admin::{
    RolloutAction,
    model::{Counted, Rollout, RolloutFleet, VersionFigures},
};

/// Shows rollouts, or changes the course of one.
pub(super) fn rollout(args: &Args, asked: &RolloutArgs) -> Result<Exit, CommandError> {
    let client = Client::find(args, &asked.ask)?;
    let action = match asked.action {
        RolloutArg::Status => None,
        RolloutArg::Pause => Some(RolloutAction::Pause),
        RolloutArg::Resume => Some(RolloutAction::Resume),
        RolloutArg::Promote => Some(RolloutAction::Promote),
        RolloutArg::Abort => Some(RolloutAction::Abort),
    };
    let told = match (action, &asked.name) {
        (None, None) => client.read::<Vec<Rollout>>()?,
        (None, Some(name)) => client.get(&format!("/rollouts/{}", segment(name)))?,
        (Some(action), Some(name)) => {
            client.post(&format!("/rollouts/{}/{action}", segment(name)), JSON, "")?
        }
        (Some(action), None) => {
            let all = client.understand::<Vec<Rollout>>(client.read::<Vec<Rollout>>()?)?;
            let [only] = &all[..] else {
                let names: Vec<&str> = all.iter().map(|it| &*it.name).collect();
                let names = match names[..] {
                    [] => "none is configured".to_owned(),
                    _ => names.join(", "),
                };
                let error = format!("name the rollout, as in `rollout {action} NAME`: {names}");
                return Err(CommandError::WrongUse(error));
            };
            client.post(
                &format!("/rollouts/{}/{action}", segment(&only.name)),
                JSON,
                "",
            )?
        }
    };
    if asked.ask.output.format == OutputFormat::Json {
        print::json(&told)?;
        return Ok(Exit::Fine);
    }
    let rollouts: Vec<Rollout> = if told.is_array() {
        client.understand(told)?
    } else {
        vec![client.understand(told)?]
    };
    let texts: Vec<String> = rollouts.iter().map(text).collect();
    if texts.is_empty() {
        print::answer("no rollout is configured")?;
    } else {
        print::answer(&texts.join("\n"))?;
    }
    Ok(Exit::Fine)
}

fn text(rollout: &Rollout) -> String {
    let mut out = String::new();
    let percent = rollout.share * 100.0;
    let (name, pool, state) = (&rollout.name, &rollout.pool, &rollout.state);
    let _ = writeln!(
        out,
        "rollout {name} of pool {pool}: {state}, {percent} % of the users"
    );
    let _ = writeln!(out, "  {}", rollout.reason);
    let step = rollout
        .steps
        .get(rollout.step.saturating_sub(1))
        .filter(|_| ["running", "holding", "waiting"].contains(&&*rollout.state));
    if let Some(step) = step {
        let (number, count) = (rollout.step, rollout.steps.len());
        let (lasted, hold) = (
            print::seconds(rollout.lasted_ms),
            print::seconds(step.hold_ms),
        );
        let place = match (rollout.between, number) {
            (false, _) => format!("step {number} of {count}"),
            (true, 0) => format!("before step 1 of {count}"),
            (true, _) if number == count => format!("after step {number} of {count}"),
            (true, _) => format!("between step {number} and {} of {count}", number + 1),
        };
        let _ = writeln!(out, "  {place}: {lasted} of {hold}");
    }
    let both = &rollout.versions;
    let rows = [row("old", &both.baseline), row("new", &both.candidate)];
    out.push_str(&print::columns(&rows));
    let evidence = &rollout.evidence;
    if let Some(shadow) = &rollout.shadow {
        let (compared, differ) = (shadow.requests, shadow.failures);
        let _ = writeln!(out, "  {differ} of {compared} answers to copies differ");
    }
    let others = [evidence.latency, evidence.shadow];
    let strongest = others.into_iter().flatten().fold(evidence.errors, f64::max);
    let share = (strongest / evidence.rolls_back_at).clamp(0.0, 1.0) * 100.0;
    let _ = writeln!(
        out,
        "  evidence against the new one: {share:.0} % of what rolls it back"
    );
    if let Some(fleet) = &rollout.fleet {
        out.push_str(&fleet_text(fleet));
    }
    out
}

/// The proxies that roll out together.
fn fleet_text(fleet: &RolloutFleet) -> String {
    let mut out = String::new();
    let (role, store) = (&fleet.role, &fleet.store);
    let leader = fleet.leader.as_deref().unwrap_or("nobody");
    let _ = writeln!(out, "  {role} in {store}, led by {leader}");
    if let Some(error) = &fleet.store_error {
        let answered = print::seconds(fleet.store_answered_ms);
        let _ = writeln!(out, "  the store answered {answered} ago: {error}");
    }
    let notes = [&fleet.foreign, &fleet.held_back];
    for note in notes.into_iter().flatten() {
        let _ = writeln!(out, "  {note}");
    }
    let rows = fleet.members.iter().map(|member| {
        let definition = match member.same_definition {
            true => "",
            false => "another definition",
        };
        vec![
            member.name.as_str().into(),
            format!("candidate {}", member.candidate).into(),
            format!("reported {} ago", print::seconds(member.reported_ms)).into(),
            definition.into(),
        ]
    });
    let rows: Vec<Vec<Cow<'_, str>>> = rows.collect();
    out.push_str(&print::columns(&rows));
    out
}

fn row<'a>(what: &'a str, figures: &'a VersionFigures) -> Vec<Cow<'a, str>> {
    let Counted {
        requests,
        failures,
        p50_ms,
        p99_ms,
    } = &figures.rollout;
    let ms = |value: &Option<f64>| value.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1} ms"));
    vec![
        what.into(),
        figures.version.as_str().into(),
        format!("{requests} requests").into(),
        format!("{failures} failed").into(),
        format!("p50 {}", ms(p50_ms)).into(),
        format!("p99 {}", ms(p99_ms)).into(),
        format!("{} users hurt", figures.users_hurt).into(),
    ]
}
