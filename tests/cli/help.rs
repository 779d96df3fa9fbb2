//! `--help` of every subcommand, and that none of them does anything without a registry.

use super::desk::Desk;

pub(crate) const COMMANDS: [&[&str]; 78] = [
    &["publish"],
    &["pull"],
    &["cache"],
    &["cache", "stat"],
    &["cache", "shrink"],
    &["cache", "verify"],
    &["push-oci"],
    &["pull-oci"],
    &["list"],
    &["show"],
    &["verify"],
    &["scan"],
    &["drift"],
    &["drift", "summarize"],
    &["validate"],
    &["compare"],
    &["calibrate-judge"],
    &["suite-schema"],
    &["smoke"],
    &["load"],
    &["bench"],
    &["query"],
    &["judge"],
    &["plan"],
    &["calibrate"],
    &["plan-schema"],
    &["rollback"],
    &["rollback", "run"],
    &["rollback", "watch"],
    &["rollback", "abort"],
    &["rollback", "status"],
    &["rollback", "drill"],
    &["rollback", "candidates"],
    &["rollback", "quarantine"],
    &["rollback", "hold"],
    &["rollback", "resume"],
    &["rollback", "stop"],
    &["rollback", "alarm"],
    &["rollback", "report"],
    &["rollout"],
    &["rollout", "start"],
    &["rollout", "status"],
    &["rollout", "watch"],
    &["rollout", "pause"],
    &["rollout", "resume"],
    &["rollout", "approve"],
    &["rollout", "reject"],
    &["rollout", "abort"],
    &["rollout", "skip"],
    &["rollout", "promote"],
    &["rollout", "override"],
    &["rollout", "replace"],
    &["report"],
    &["attest"],
    &["approve"],
    &["key"],
    &["key", "generate"],
    &["sign"],
    &["bom"],
    &["promote"],
    &["demote"],
    &["revert"],
    &["history"],
    &["at"],
    &["watch"],
    &["policy"],
    &["policy", "show"],
    &["policy", "set"],
    &["policy", "clear"],
    &["policy", "check"],
    &["yank"],
    &["unyank"],
    &["quarantine"],
    &["lift"],
    &["delete"],
    &["expire"],
    &["gc"],
    &["fsck"],
];

#[test]
fn every_command_explains_itself() {
    let desk = Desk::new();
    let all = desk.run(&["--help"]).is(0).out;
    for command in COMMANDS {
        let run = desk.run(&[command, &["--help"]].concat()).is(0);
        let usage = format!("\nUsage: tidegate {} ", command.join(" "));
        assert!(run.out.contains(&usage) && run.err.is_empty(), "{run:?}");
        assert!(command.len() > 1 || all.contains(&format!("\n  {} ", command[0])), "{command:?}: {all}");
        let unfinished =
            run.out.lines().find(|line| line.trim_start().starts_with("--") && line.ends_with('>'));
        assert_eq!(unfinished, None, "an option without a word");
    }
    let listed =
        all.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let top = COMMANDS.iter().filter(|command| command.len() == 1).count();
    assert_eq!(listed.count(), top + 1, "the commands of this test, and help: {all}");
}

#[test]
fn an_unknown_option_is_refused_by_every_command() {
    let desk = Desk::published();
    for command in COMMANDS {
        desk.run(&[command, &["--frobnicate"]].concat()).is(2).says(&["--frobnicate", "--help"]);
    }
}

#[test]
fn commands_begin_no_registry() {
    let desk = Desk::new();
    desk.write("said.json", b"{}");
    desk.write("policy.json", br#"{"rules": []}"#);
    desk.run(&["key", "generate", "key.pem", "key.pub.pem"]).is(0);
    let commands: [&[&str]; 26] = [
        &["attest", "m@1.0.0", "--type", "x:y", "said.json"],
        &["approve", "m@1.0.0"],
        &["bom", "m@1.0.0"],
        &["sign", "m@1.0.0", "--key", "key.pem"],
        &["push-oci", "m@1.0.0", "http://127.0.0.1:1/x"],
        &["demote", "m", "--channel", "production", "--reason", "x"],
        &["revert", "m", "--channel", "production", "--reason", "x"],
        &["at", "m", "--channel", "production", "2020-01-01"],
        &["watch", "m", "--channel", "production"],
        &["report", "serving/m"],
        &["rollback", "status", "--route", "serving/m"],
        &["rollout", "status", "--route", "serving/m"],
        &["rollout", "watch", "--route", "serving/m"],
        &["rollout", "abort", "--route", "serving/m", "--reason", "x"],
        &["policy", "show", "m"],
        &["policy", "set", "m", "--channel", "production", "policy.json"],
        &["policy", "clear", "m", "--channel", "production"],
        &["policy", "check", "m@1.0.0", "--channel", "production"],
        &["yank", "m@1.0.0", "--reason", "x"],
        &["unyank", "m@1.0.0", "--reason", "x"],
        &["quarantine", "m@1.0.0", "--reason", "x"],
        &["lift", "m@1.0.0", "--reason", "x"],
        &["delete", "m@1.0.0", "--reason", "x"],
        &["expire", "m", "--releases", "1", "--pre-releases", "1", "--within", "1d"],
        &["gc"],
        &["fsck"],
    ];
    for command in commands {
        desk.run(command).is(4).says(&["no registry in", "TIDEGATE_REGISTRY"]);
    }
    assert!(!desk.path("registry").exists());
}
