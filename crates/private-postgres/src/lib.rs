//! A PostgreSQL of our own, in a folder of its own, on a socket that nobody else sees: for tests, and for what ours is measured
//! beside.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

/// The variable that names the database in which tests make theirs: what [`Postgres::address`] says.
pub const ADDRESS: &str = "ADMIT_POSTGRES";

/// A server that ends with its owner.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    folder: tempfile::TempDir,
    server: Child,
    /// PostgreSQL does not run as root: as whom it runs then.
    user: Option<(u32, u32)>,
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // A fast shutdown, of the process that we started.
        let _ = self.command("pg_ctl").arg("stop").arg("-D").arg(self.data()).args(["-m", "fast", "-s"]).status();
        let _ = self.server.wait();
    }
}

impl Postgres {
    /// Starts one in a new folder in `beside`, with the settings that it comes with: every commit is on disk.
    ///
    /// # Errors
    /// When PostgreSQL is not installed or does not come up within half a minute.
    pub fn start(beside: &Path) -> anyhow::Result<Self> {
        let programs = programs()?;
        let folder = tempfile::tempdir_in(beside)?;
        let user = (nobody_but_root()?).then(|| account("postgres")).transpose()?;
        if let Some((user, group)) = user {
            std::os::unix::fs::chown(folder.path(), Some(user), Some(group))?;
        }
        let new = |program: &str| command(&programs, program, user);
        let data = folder.path().join("data");
        let mut made = new("initdb");
        made.arg("-D").arg(&data).args(["-A", "trust", "-U", "admit", "-E", "UTF8", "--no-locale"]);
        let made = made.stdout(Stdio::null()).output().context("initdb")?;
        ensure!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let mut server = new("postgres");
        server.arg("-D").arg(&data).arg("-k").arg(folder.path()).args(["-h", "", "-c", "max_wal_size=4GB"]);
        server.args(["-c", "shared_buffers=1GB", "-c", "max_connections=200"]);
        let server = server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let this = Self { programs, server: server.context("starting PostgreSQL")?, folder, user };
        let began = Instant::now();
        while !this.command("pg_isready").args(this.connection()).stdout(Stdio::null()).status()?.success() {
            ensure!(began.elapsed() < Duration::from_secs(30), "PostgreSQL did not come up");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(this)
    }

    /// Where it is, for clients: only who may open its folder gets in.
    #[must_use]
    pub fn address(&self) -> String {
        let folder = self.folder.path().display().to_string().replace('%', "%25").replace('/', "%2F");
        format!("postgres://admit@{folder}/postgres")
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        command(&self.programs, program, self.user)
    }

    /// What a program of PostgreSQL needs to find it.
    fn connection(&self) -> [String; 6] {
        let folder = self.folder.path().display().to_string();
        ["-h".into(), folder, "-U".into(), "admit".into(), "-d".into(), "postgres".into()]
    }

    /// Runs a script with these variables.
    ///
    /// # Errors
    /// With what PostgreSQL said.
    pub fn script(&self, file: &Path, variables: &[(&str, usize)]) -> anyhow::Result<()> {
        let mut psql = self.command("psql");
        psql.args(self.connection()).args(["-q", "-X", "-v", "ON_ERROR_STOP=1", "-f"]).arg(file);
        for (name, value) in variables {
            psql.arg("-v").arg(format!("{name}={value}"));
        }
        let ran = psql.stdout(Stdio::null()).output()?;
        ensure!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        Ok(())
    }

    /// One number.
    ///
    /// # Errors
    /// With what PostgreSQL said, or when it is none.
    pub fn number(&self, sql: &str) -> anyhow::Result<usize> {
        let ran = self.command("psql").args(self.connection()).args(["-q", "-X", "-t", "-A", "-c", sql]).output()?;
        ensure!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8_lossy(&ran.stdout).trim().parse().context("a number")
    }

    /// Runs pgbench for so many seconds.
    ///
    /// # Errors
    /// With what it said.
    pub fn pgbench(
        &self,
        script: &Path,
        clients: usize,
        seconds: u64,
        variables: &[(&str, usize)],
    ) -> anyhow::Result<()> {
        let mut pgbench = self.command("pgbench");
        let [h, folder, u, user, _, database] = self.connection();
        pgbench
            .args([h, folder, u, user])
            .args(["-n", "-M", "prepared", "-j", "2", "--max-tries=10", "-f"])
            .arg(script);
        pgbench.args(["-c", &clients.to_string(), "-T", &seconds.to_string()]);
        for (name, value) in variables {
            pgbench.arg("-D").arg(format!("{name}={value}"));
        }
        let ran = pgbench.arg(database).stdout(Stdio::null()).output()?;
        ensure!(ran.status.success(), "pgbench: {}", String::from_utf8_lossy(&ran.stderr));
        Ok(())
    }
}

/// The database that tests may use, if there is one: [`ADDRESS`] names it.
#[must_use]
pub fn given() -> Option<String> {
    std::env::var(ADDRESS).ok().filter(|address| !address.is_empty())
}

/// Makes an empty part of a database that nobody else uses, and says its address.
///
/// # Errors
/// With what PostgreSQL said.
pub fn new_schema(address: &str) -> anyhow::Result<String> {
    let unique = tempfile::Builder::new().prefix("").rand_bytes(20).tempfile()?;
    let name = unique.path().file_name().and_then(|name| name.to_str()).context("a name")?.to_lowercase();
    let name = format!("t{}_{}", std::process::id(), name.replace(|c: char| !c.is_ascii_alphanumeric(), ""));
    let mut psql = command(&programs()?, "psql", None);
    let made = psql.args([address, "-q", "-X", "-c", &format!("CREATE SCHEMA {name}")]).output()?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Ok(format!("{address}?options=-csearch_path%3D{name}"))
}

fn command(programs: &Path, program: &str, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(programs.join(program));
    // A folder that it may look at.
    command.current_dir("/").env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C");
    if let Some((user, group)) = user {
        command.uid(user).gid(group);
    }
    command
}

/// Where PostgreSQL's own programs are: Debian keeps them out of the path.
fn programs() -> anyhow::Result<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions.map(|v| v.path().join("bin")).collect();
    found.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    found.extend(std::env::split_paths(&path));
    let whole = |folder: &PathBuf| folder.join("initdb").is_file() && folder.join("pgbench").is_file();
    found.into_iter().find(whole).context("PostgreSQL is not installed: initdb and pgbench are missing")
}

fn nobody_but_root() -> anyhow::Result<bool> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let uids = status.lines().find_map(|l| l.strip_prefix("Uid:")).context("no Uid")?;
    Ok(uids.split_whitespace().nth(1) == Some("0"))
}

fn account(name: &str) -> anyhow::Result<(u32, u32)> {
    let accounts = std::fs::read_to_string("/etc/passwd")?;
    for line in accounts.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        if let [known, _, user, group, ..] = fields[..]
            && known == name
        {
            return Ok((user.parse()?, group.parse()?));
        }
    }
    bail!("there is no account {name}: PostgreSQL does not run as root")
}
