//! The product as people run it: the `admit` program, a folder and a process for each server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use admit_client::Client;
use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use crate::refused::Refused;

/// What one operator shows, as a file that `admit cinema import` reads.
pub(crate) struct Programme {
    pub(crate) operator: String,
    pub(crate) folder: String,
    pub(crate) bundle: Value,
}

/// What was taken over.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Imported {
    pub(crate) cinemas: u64,
    pub(crate) halls: u64,
    pub(crate) films: u64,
    pub(crate) screenings: u64,
}

/// The program, and where its servers keep their data.
pub(crate) struct Stage {
    program: PathBuf,
    folder: PathBuf,
}

/// A server's folder.
#[derive(Clone)]
pub(crate) struct House {
    pub(crate) origin: String,
    pub(crate) folder: PathBuf,
}

/// A server that runs until it is stopped, or dropped.
pub(crate) struct Running {
    pub(crate) house: House,
    child: Child,
}

impl Stage {
    pub(crate) fn new(program: PathBuf, folder: PathBuf) -> anyhow::Result<Self> {
        ensure!(program.is_file(), "{} is not there: build it with `cargo build -p admit-cli`", program.display());
        Ok(Self { program, folder })
    }

    fn admit(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["--development", "--json"]).stdin(Stdio::null());
        command
    }

    /// Runs a command that prints JSON, and takes what it printed even when it ends with an error.
    pub(crate) fn ask(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let output = self.admit().args(arguments).output()?;
        let said = || format!("admit {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).with_context(said)
    }

    /// A new folder of a `kind` of server, on a port that is free.
    pub(crate) fn init(&self, kind: &str, name: &str, folder: &str) -> anyhow::Result<House> {
        let listen = admit_http::listen::unused_address()?.to_string();
        let origin = format!("http://{listen}");
        let folder = self.folder.join(folder);
        let mut init = self.admit();
        init.args([kind, "init"]).arg(&folder).args(["--origin", &origin, "--listen", &listen]);
        let output = init.args(["--name", name, "--email", "world@kino.example"]).output()?;
        ensure!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(House { origin, folder })
    }

    /// A cinema's folder with this programme in it. All buyers come from this machine, so the limit for one network is
    /// lifted, and connections from one address are not counted.
    pub(crate) fn cinema(
        &self,
        programme: &Programme,
        refused: &mut Vec<Refused>,
    ) -> anyhow::Result<(House, Imported)> {
        let house = self.init("cinema", &programme.operator, &programme.folder)?;
        let settings = house.folder.join("server.toml");
        let text = fs::read_to_string(&settings)?;
        let text = text.replace("unpaid_percent_per_network = 30", "unpaid_percent_per_network = 100");
        fs::write(&settings, text.replace("connections_per_address = 64", "connections_per_address = 4096"))?;
        let file = self.folder.join(format!("{}.json", programme.folder));
        fs::write(&file, serde_json::to_vec(&programme.bundle)?)?;
        let paths = (house.folder.to_string_lossy(), file.to_string_lossy());
        let report = self.ask(&["cinema", "import", &paths.0, &paths.1, "--skip-bad-rows", "--yes"])?;
        let count = |name: &str| report[name].as_u64().with_context(|| format!("{name} in {report}"));
        refused.extend(serde_json::from_value::<Vec<Refused>>(report["refused"].clone())?.into_iter().map(|r| {
            let row = format!("{}: {}", programme.operator, r.row);
            Refused { row, ..r }
        }));
        let imported = Imported {
            cinemas: count("cinemas")?,
            halls: count("halls")?,
            films: count("films")?,
            screenings: count("screenings")?,
        };
        Ok((house, imported))
    }

    pub(crate) fn serve(&self, kind: &str, house: &House) -> anyhow::Result<Running> {
        let log = fs::File::create(house.folder.join("log.txt"))?;
        let mut command = self.admit();
        command.args(["serve", kind]).arg(&house.folder).stdout(log.try_clone()?).stderr(log);
        Ok(Running { house: house.clone(), child: command.spawn()? })
    }
}

impl Running {
    /// Waits until it answers.
    pub(crate) async fn ready(&mut self, client: &Client) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let met = client.server(&self.house.origin, None).await;
            // Somebody else may answer there: then this one could not listen, and has ended.
            let ended = self.child.try_wait()?.is_some();
            if ended || began.elapsed() > Duration::from_secs(30) {
                let log = fs::read_to_string(self.house.folder.join("log.txt")).unwrap_or_default();
                bail!("{} did not start: {log}", self.house.folder.display());
            }
            if met.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status()?;
        ensure!(asked.success(), "process {} is gone already", self.child.id());
        let began = Instant::now();
        while self.child.try_wait()?.is_none() {
            ensure!(began.elapsed() < Duration::from_secs(30), "{} does not stop", self.house.origin);
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The folder of a path as text.
pub(crate) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
