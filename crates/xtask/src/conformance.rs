//! The conformance suite on our server with both stores, on the server in Python, and on servers that misbehave.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use admit_private_postgres::Postgres;
use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

/// A test control that ends with its owner.
struct Controlled {
    child: Child,
    url: String,
    secret: String,
    /// What it said beside.
    log: NamedTempFile,
}

impl Controlled {
    /// One that fell over did not misbehave: any suite notices that.
    fn check_log(&mut self, name: &str) -> anyhow::Result<()> {
        let said = std::fs::read_to_string(self.log.path())?;
        let runs = self.child.try_wait()?.is_none();
        ensure!(runs && !said.contains("Traceback"), "{name} is broken: {said}");
        Ok(())
    }
}

impl Drop for Controlled {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs all of it. Fails when a server that should pass does not, or one that misbehaves is not caught.
pub(crate) fn run(as_json: bool) -> anyhow::Result<()> {
    let build = ["build", "--quiet", "--locked", "-p", "admit-cli", "-p", "admit-conformance", "-p", "client-adapter"];
    ensure!(Command::new(env!("CARGO")).args(build).status()?.success(), "the programs were not built");
    check_coverage()?;
    let mut reports = vec![
        ("ours on SQLite", suite(&ours(None)?, &[])?),
        ("our client", client(&ours(None)?, &beside("client-adapter").display().to_string(), &[])?),
        ("our index", index()?),
    ];
    match Postgres::start(&std::env::temp_dir()) {
        Ok(postgres) => reports.push(("ours on PostgreSQL", suite(&ours(Some(&postgres.address()))?, &[])?)),
        Err(error) if std::env::var_os("CI").is_none() => say(as_json, &format!("SKIPPED ours on PostgreSQL: {error}")),
        Err(error) => return Err(error.context("a PostgreSQL for the suite")),
    }
    let mut caught = Vec::new();
    match python() {
        Ok(python) => {
            vectors(&python, as_json)?;
            let mut server = in_python(&python, &["admit_python"])?;
            reports.push(("in Python", suite(&server, &[])?));
            server.check_log("the server in Python")?;
            caught = mutants(&python, as_json)?;
        }
        Err(error) if std::env::var_os("CI").is_none() => {
            say(as_json, &format!("SKIPPED the server in Python, and servers that misbehave: {error:#}"));
        }
        Err(error) => return Err(error.context("a Python for the second server")),
    }
    let sum = |what: &str| reports.iter().filter_map(|(_, report)| report[what].as_u64()).sum::<u64>();
    let coverage = coverage()?;
    let missed: Vec<&str> = caught.iter().filter(|(_, by)| by.is_none()).map(|(name, _)| name.as_str()).collect();
    if as_json {
        println!(
            "{}",
            json!({"passed": sum("passed"), "failed": sum("failed"), "not_run": sum("not_run"), "mutants": caught.len(),
                "mutants_caught": caught.len() - missed.len(), "musts": coverage["musts"], "musts_tested": coverage["musts_tested"],
                "musts_tested_elsewhere": coverage["musts_tested_elsewhere"]})
        );
    } else {
        for (whose, report) in &reports {
            println!(
                "{whose:20} {} passed, {} failed, {} not run",
                report["passed"], report["failed"], report["not_run"]
            );
            failures(report).for_each(|failure| println!("  {failure}"));
        }
        println!("{} of {} servers that misbehave were caught", caught.len() - missed.len(), caught.len());
        println!(
            "{} of {} sentences are checked by the suite, {} more by tests of this repository",
            coverage["musts_tested"], coverage["musts"], coverage["musts_tested_elsewhere"]
        );
    }
    ensure!(sum("failed") == 0, "a server that should pass does not");
    for (whose, report) in &reports {
        let all = *whose == "in Python" || report["not_run"] == 0;
        ensure!(
            all && report["passed"].as_u64() > Some(15),
            "{whose}: {} checks passed, {} were not run",
            report["passed"],
            report["not_run"]
        );
    }
    ensure!(missed.is_empty(), "not caught: {}", missed.join(", "));
    Ok(())
}

/// Recomputes the vectors with other means than ours.
fn vectors(python: &Path, quiet: bool) -> anyhow::Result<()> {
    let check = root().join("conformance-tests/vectors/check.py");
    let output = Command::new(python).arg(check).arg(root().join("spec/v1/vectors")).output()?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    ensure!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    say(quiet, &format!("{said}, in Python"));
    // And as an implementer is asked for them, who has the suite's program alone.
    let adapter = format!("{} {}", python.display(), root().join("conformance-tests/vectors/adapter.py").display());
    let asked =
        Command::new(beside("admit-conformance")).args(["--json", "vectors", "--command", &adapter]).output()?;
    let report: Value = serde_json::from_slice(&asked.stdout).context("the report of the vectors")?;
    let all = report["failed"] == 0 && report["not_run"] == 0 && report["passed"].as_u64() > Some(250);
    ensure!(all, "vectors, asked of Python: {report}");
    say(quiet, &format!("{} of them as an adapter is asked", report["passed"]));
    Ok(())
}

/// Each server that misbehaves, and the sentence that it was caught at.
fn mutants(python: &Path, quiet: bool) -> anyhow::Result<Vec<(String, Option<String>)>> {
    let mut caught = Vec::new();
    let honest = adapter(python, "");
    let server = ours(None)?;
    let report = client(&server, &honest, &[])?;
    ensure!(report["failed"] == 0, "the client in Python: {}", failures(&report).collect::<Vec<_>>().join("; "));
    for (name, must) in names(python, "mutants.clients")? {
        let by = failures(&client(&server, &adapter(python, &name), &["--until-failure", "--only", &must])?).next();
        say(quiet, &format!("{name:40} {}", by.as_deref().unwrap_or("NOT CAUGHT")));
        caught.push((name, by));
    }
    // Two at a time: most of the time is a program's start.
    let all = names(python, "mutants")?;
    let (one, two) = all.split_at(all.len() / 2);
    let seen = std::thread::scope(|threads| {
        let halves = [one, two]
            .map(|half| threads.spawn(move || half.iter().map(|m| misbehaving(python, m)).collect::<Vec<_>>()));
        halves.map(|half| half.join().map_err(|_| anyhow::anyhow!("a thread that tried them panicked")))
    });
    let mut tried = Vec::new();
    for half in seen {
        tried.extend(half?);
    }
    ensure!(!tried.is_empty(), "there are no servers that misbehave");
    for found in tried {
        let (name, by) = found?;
        say(quiet, &format!("{name:40} {}", by.as_deref().unwrap_or("NOT CAUGHT")));
        caught.push((name, by));
    }
    Ok(caught)
}

/// A server that misbehaves: at first by the sentence that it breaks, and, if that does not catch it, by all of them.
fn misbehaving(python: &Path, (name, must): &(String, String)) -> anyhow::Result<(String, Option<String>)> {
    let mut server = in_python(python, &["mutants", name])?;
    let report = suite(&server, &["--until-failure", "--only", must])?;
    let by = match failures(&report).next() {
        Some(by) => Some(by),
        None => failures(&suite(&server, &["--until-failure"])?).next(),
    };
    server.check_log(name)?;
    Ok((name.clone(), by))
}

/// The names of those that misbehave, and the sentence that each breaks.
fn names(python: &Path, module: &str) -> anyhow::Result<Vec<(String, String)>> {
    let listed = Command::new(python).args(["-m", module, "--list"]).envs(packages()).output()?;
    ensure!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let listed = String::from_utf8(listed.stdout)?;
    let of = |line: &str| {
        let mut words = line.split_whitespace().map(|word| word.trim_end_matches(':').to_owned());
        Some((words.next()?, words.next()?))
    };
    Ok(listed.lines().filter_map(of).collect())
}

/// How a client in Python is called; of no name, one that is careful.
fn adapter(python: &Path, name: &str) -> String {
    let [(name_of_path, packages), _] = packages();
    format!("env {name_of_path}={packages} {} -m mutants.clients {name}", python.display())
}

/// What failed, and at which sentences.
fn failures(report: &Value) -> impl Iterator<Item = String> {
    let checks = report["checks"].as_array().into_iter().flatten().filter(|c| c["outcome"] == "failed");
    checks.map(|c| {
        let musts = c["musts"].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>();
        format!("{}: {}", musts.join(" "), c["why"].as_str().unwrap_or_default())
    })
}

/// What the suite says of a server.
fn suite(server: &Controlled, more: &[&str]) -> anyhow::Result<Value> {
    let target = ["--json", "server", "--control", &server.url, "--secret", &server.secret];
    let output = Command::new(beside("admit-conformance")).args(target).args(more).output()?;
    serde_json::from_slice(&output.stdout).with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

/// What it says of our client, buying from a server of ours.
fn client(server: &Controlled, adapter: &str, more: &[&str]) -> anyhow::Result<Value> {
    let target = ["--json", "client", "--command", adapter, "--control", &server.url, "--secret", &server.secret];
    let output = Command::new(beside("admit-conformance")).args(target).args(more).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(!said.contains("Traceback"), "{adapter} is broken: {said}");
    serde_json::from_slice(&output.stdout).with_context(|| said.into_owned())
}

/// What it says of our index.
fn index() -> anyhow::Result<Value> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("index");
    let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let origin = format!("http://{address}");
    let admit = || {
        let mut command = Command::new(beside("admit"));
        command.arg("--development");
        command
    };
    let made = admit()
        .args(["index", "init"])
        .arg(&data)
        .args(["--origin", &origin, "--name", "Index", "--email", "a@b.example"])
        .output()?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let child = admit().args(["--json", "serve", "index"]).arg(&data).stdout(Stdio::piped()).spawn()?;
    let mut running = Controlled { child, url: origin.clone(), secret: String::new(), log: NamedTempFile::new()? };
    let mut line = String::new();
    running.child.stdout.take().map(|out| BufReader::new(out).read_line(&mut line)).transpose()?;
    let output =
        Command::new(beside("admit-conformance")).args(["--json", "index", "--sandbox", "--url", &origin]).output()?;
    serde_json::from_slice(&output.stdout).with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Whether the page that says what is checked is as the suite says.
fn check_coverage() -> anyhow::Result<()> {
    let output = Command::new(beside("admit-conformance")).args(["coverage", "--markdown"]).output()?;
    let page = std::fs::read(root().join("conformance-tests/COVERAGE.md"))?;
    ensure!(
        page == output.stdout,
        "write it anew: admit-conformance coverage --markdown > conformance-tests/COVERAGE.md"
    );
    for sentence in coverage()?["sentences"].as_array().into_iter().flatten() {
        let Some([file, test]) = sentence["elsewhere"].as_array().map(Vec::as_slice) else { continue };
        let (file, test) = (file.as_str().unwrap_or_default(), test.as_str().unwrap_or_default());
        let there = std::fs::read_to_string(root().join(file)).is_ok_and(|text| text.contains(test));
        ensure!(there, "{} is said to be tested by {test:?} in {file}, and is not", sentence["must"]);
    }
    Ok(())
}

fn coverage() -> anyhow::Result<Value> {
    let output = Command::new(beside("admit-conformance")).args(["--json", "coverage"]).output()?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn ours(postgres: Option<&str>) -> anyhow::Result<Controlled> {
    let mut command = Command::new(beside("admit"));
    command.args(["--json", "serve", "control"]);
    if let Some(address) = postgres {
        command.args(["--postgres", address]);
    }
    started(command, None)
}

fn in_python(python: &Path, module: &[&str]) -> anyhow::Result<Controlled> {
    let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let secret = "as told at its start";
    let mut command = Command::new(python);
    command.arg("-m").args(module).args(["--control", &address, "--secret", secret]).envs(packages());
    started(command, Some(secret))
}

/// Starts a program that says in one line where its test control is.
fn started(mut command: Command, secret: Option<&str>) -> anyhow::Result<Controlled> {
    let log = NamedTempFile::new()?;
    let mut child = command.stdout(Stdio::piped()).stderr(log.reopen()?).spawn()?;
    let mut line = String::new();
    let read = child.stdout.take().map(|out| BufReader::new(out).read_line(&mut line));
    let said: Value = serde_json::from_str(&line).unwrap_or_default();
    let secret = said["secret"].as_str().or(secret).map(str::to_owned);
    let (Some(url), Some(secret), Some(Ok(_))) = (said["control"].as_str().map(str::to_owned), secret, read) else {
        let _ = child.kill();
        let _ = child.wait();
        bail!("{command:?} did not start: {line}");
    };
    Ok(Controlled { child, url, secret, log })
}

/// A Python with the packages that the server and the suite's second opinion need, in a folder of its own below `target`.
fn python() -> anyhow::Result<PathBuf> {
    let root = root();
    let needs = root.join("conformance-tests/requirements.txt");
    let venv = root.join("target/python");
    let (python, kept) = (venv.join("bin/python"), venv.join("requirements.txt"));
    let servers = std::fs::read(root.join("examples/python-server/requirements.txt"))?;
    let wanted = [std::fs::read(&needs)?, servers].concat();
    if std::fs::read(&kept).ok().as_ref() != Some(&wanted) {
        let run = |command: &mut Command| -> anyhow::Result<()> {
            let output = command.output()?;
            ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Ok(())
        };
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "-r"]).arg(&needs))?;
        std::fs::write(&kept, wanted)?;
    }
    Ok(python)
}

/// Where Python finds the server and those that misbehave.
fn packages() -> [(&'static str, String); 2] {
    let (server, suite) = (root().join("examples/python-server"), root().join("conformance-tests"));
    [("PYTHONPATH", format!("{}:{}", server.display(), suite.display())), ("PYTHONDONTWRITEBYTECODE", "1".into())]
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A program that was built beside this one.
fn beside(name: &str) -> PathBuf {
    std::env::current_exe().map(|here| here.with_file_name(name)).unwrap_or_else(|_| name.into())
}

fn say(quiet: bool, text: &str) {
    if !quiet {
        println!("{text}");
    }
}
