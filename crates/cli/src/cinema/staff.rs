//! Who works at a cinema, and its scanners: in its folder, or at its server while that runs.

use std::io::IsTerminal as _;
use std::sync::Arc;

use admit_protocol::id::DeviceId;
use admit_server::management::{NewToken, PutStaff, Role, StaffMember, hash_password};
use admit_server::store::{Device, Edit, Layouts, StaffStore};
use anyhow::{Context as _, ensure};
use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::note;
use crate::folder::{Folder, new_token};
use crate::office::{Desk, Office, read_password};
use crate::{Context, show};

/// Where a cinema is kept, or where it runs.
#[derive(Args)]
pub(crate) struct Place {
    /// The folder; or the address of its server, while that runs: then somebody signs in who may.
    folder: String,
    /// What you sign in with at a server that runs. The password is asked for, or read from standard input.
    #[arg(id = "as", long = "login", env = "ADMIT_LOGIN", value_name = "LOGIN")]
    login: Option<String>,
}

/// What a person may do here.
#[derive(Args)]
pub(crate) struct Staff {
    #[command(flatten)]
    place: Place,
    /// What they sign in with.
    who: Option<String>,
    /// door, box_office, programme, manager or admin.
    #[arg(long)]
    role: Option<Role>,
    /// What they are called.
    #[arg(long)]
    name: Option<String>,
    /// Also where they have a password already; who was gone signs in again with it.
    #[arg(long)]
    new_password: bool,
    /// They sign in no more.
    #[arg(long)]
    gone: bool,
}

/// A scanner of tickets.
#[derive(Args)]
pub(crate) struct Scanner {
    #[command(flatten)]
    place: Place,
    /// Its name, such as door-1.
    id: String,
}

/// A place that was opened.
enum Opened {
    Folder(Arc<dyn StaffStore>),
    Server(Box<Office>),
}

impl Place {
    async fn open(self, context: &Context) -> anyhow::Result<Opened> {
        if !self.folder.starts_with("http") {
            return Ok(Opened::Folder(Folder(self.folder.into()).cinema_store()?));
        }
        let login = self.login.context("say --login: who changes a server that runs signs in")?;
        Ok(Opened::Server(Box::new(Desk::of(&self.folder, login).sign_in(context).await?)))
    }
}

impl Opened {
    async fn staff(&self) -> anyhow::Result<Vec<StaffMember>> {
        match self {
            Self::Folder(store) => Ok(store.staff()?),
            Self::Server(office) => office.staff().await,
        }
    }

    /// A new password for `login`. Where nobody sits at a terminal it is the second line at a server, after the password of who signs in,
    /// whether that was asked for now or a session was kept: the same input does the same, and nobody gets somebody else's password.
    fn read_new_password(&self, login: &str) -> anyhow::Result<String> {
        let typed = std::io::stdin().is_terminal();
        if let (Self::Server(office), false) = (self, typed) {
            const TWO: &str = "two lines are read from standard input: your own password, then the new one";
            if office.kept_session() {
                read_password("").context(TWO)?;
            }
            return read_password("").context(TWO);
        }
        let password = read_password(&format!("a password for {login}: "))?;
        if typed {
            ensure!(read_password("once more: ")? == password, "these are two different passwords");
        }
        Ok(password)
    }

    async fn put(&self, member: &StaffMember, password: Option<String>) -> anyhow::Result<()> {
        let StaffMember { login, name, role, disabled } = member;
        match self {
            Self::Folder(store) => {
                let hash = password.as_deref().map(hash_password).transpose()?;
                store.put_staff(member, hash.as_deref())?;
                let gone = if *disabled { ", gone" } else { "" };
                note(&**store, "put_staff", format!("{login} as {}{gone}", role.as_str()))
            }
            Self::Server(office) => {
                let put = PutStaff { name: name.clone(), role: *role, disabled: *disabled, password };
                office.put_staff(login, &put).await
            }
        }
    }

    /// The token of a scanner, known from now on, and whether it had an older one, where that can be seen.
    async fn put_scanner(&self, id: DeviceId) -> anyhow::Result<(String, bool)> {
        let store = match self {
            Self::Folder(store) => store,
            Self::Server(office) => {
                let NewToken { token, replaced, .. } = office.put_scanner(id).await?;
                return Ok((token, replaced));
            }
        };
        let (token, token_hash) = new_token()?;
        let replaced = store.catalogue()?.devices.iter().any(|known| known.id == id);
        let edit = Edit::Device { device: Device { id, token_hash }, name: id.to_string() };
        store.edit(&[edit], Timestamp::now(), Layouts::Stay)?;
        note(&**store, "put_device", id.to_string())?;
        Ok((token, replaced))
    }
}

impl Staff {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let Self { place, who, role, name, new_password, gone } = self;
        let place = place.open(context).await?;
        let staff = place.staff().await?;
        let Some(login) = who else { return list(&staff, context) };
        ensure!(!login.trim().is_empty() && login.len() <= 64, "a login has 1 to 64 bytes");
        let known = staff.into_iter().find(|member| member.login == login);
        let nobody = format!("nobody works here as {login:?}: `admit cinema staff` without a login lists who does");
        ensure!(known.is_some() || !gone, nobody);
        let role = role.or(known.as_ref().map(|known| known.role)).context("say --role: what may they do?")?;
        let password = match known.is_none() || new_password {
            true => Some(place.read_new_password(&login)?),
            false => None,
        };
        let gone = gone || (!new_password && known.as_ref().is_some_and(|known| known.disabled));
        let name = name.or(known.map(|known| known.name)).unwrap_or_else(|| login.clone());
        let member = StaffMember { login, name, role, disabled: gone };
        place.put(&member, password).await?;
        if context.json {
            return show::json(&member);
        }
        let may = if gone { "signs in no more".to_owned() } else { format!("may sign in as {}", role.as_str()) };
        show::line(&format!("{} {may}", member.login));
        Ok(())
    }
}

fn list(staff: &[StaffMember], context: &Context) -> anyhow::Result<()> {
    if context.json {
        return show::json(&staff);
    }
    let gone = |disabled| if disabled { "signs in no more" } else { "" };
    let row = |m: &StaffMember| vec![m.login.clone(), m.name.clone(), m.role.as_str().into(), gone(m.disabled).into()];
    show::table(&["login", "name", "role", ""], &staff.iter().map(row).collect::<Vec<_>>());
    Ok(())
}

impl Scanner {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let id: DeviceId = self.id.parse().with_context(|| self.id.clone())?;
        let (token, replaced) = self.place.open(context).await?.put_scanner(id).await?;
        if context.json {
            return show::json(&json!({"device": id, "token": token, "replaced": replaced}));
        }
        show::line(&format!("the token of {id}, shown once: {token}"));
        if replaced {
            show::line("its older token opens nothing any more");
        }
        Ok(())
    }
}
