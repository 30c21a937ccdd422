//! `olmstead user …`

use std::io::Read as _;

use clap::{Args, Subcommand};
use olmstead::config::Secret;
use olmstead_service::admin::users::{
    change::{Deactivate, Deactivated, NewPassword, NewStanding, PasswordSet, Standing},
    create, list, show,
};

use super::{
    api::{Api, ApiError, confirm, encoded},
    device,
    table::{facts, maybe_time, table, time},
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make an account, whoever may register.
    ///
    /// The password is read from standard input, or chosen by the server and printed this once.
    ///
    /// Examples:
    ///   olmstead user create alice
    ///   pwgen 20 1 | olmstead user create alice --password-stdin --admin
    #[command(verbatim_doc_comment)]
    Create(Create),
    /// Accounts in order of their ids, all of them unless --limit is given.
    ///
    /// Examples:
    ///   olmstead user list
    ///   olmstead user list --limit 100 --from @mallory:example.org
    ///   olmstead user list --search ali
    #[command(verbatim_doc_comment)]
    List(List),
    /// All about an account but its encryption, which `olmstead e2ee inspect` shows.
    ///
    /// Example: olmstead user show @alice:example.org
    Show {
        /// An id, or the name of a user of this server.
        user: String,
    },
    /// Lock an account: nobody can use it, and nothing is lost.
    ///
    /// Example: olmstead user lock @alice:example.org
    Lock {
        /// An id, or the name of a user of this server.
        user: String,
    },
    /// Unlock an account.
    Unlock {
        /// An id, or the name of a user of this server.
        user: String,
    },
    /// Suspend an account: its user can read, and log in and out, and little else.
    ///
    /// Example: olmstead user suspend @alice:example.org
    Suspend {
        /// An id, or the name of a user of this server.
        user: String,
    },
    /// End the suspension of an account.
    Unsuspend {
        /// An id, or the name of a user of this server.
        user: String,
    },
    /// End an account for good: it leaves all rooms, its devices, keys and backups go, and the name stays taken.
    ///
    /// Example: olmstead user deactivate @alice:example.org --erase
    Deactivate {
        /// An id, or the name of a user of this server.
        user: String,
        /// Delete account data and filters, too.
        #[arg(long)]
        erase: bool,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Give an account another password.
    ///
    /// It is read from standard input, or chosen by the server and printed this once.
    ///
    /// Example: olmstead user reset-password @alice:example.org --logout
    ResetPassword {
        /// An id, or the name of a user of this server.
        user: String,
        /// Log out all devices for good; keys that are in no backup are lost with them.
        #[arg(long)]
        logout: bool,
        /// Read the password from standard input: one line.
        #[arg(long)]
        password_stdin: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// The name, without `@` and server.
    name: String,
    /// Read the password from standard input: one line.
    #[arg(long)]
    password_stdin: bool,
    /// Let the account use the administrators' endpoints of the client API.
    #[arg(long)]
    admin: bool,
    /// The display name; the name, when absent.
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// How many at most; all when absent.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Users after this one.
    #[arg(long, value_name = "USER")]
    from: Option<String>,
    /// Users whose id or display name contains this; 1000 at most.
    #[arg(long, value_name = "TEXT", conflicts_with = "from")]
    search: Option<String>,
}

impl Command {
    pub(super) async fn run(&self, api: &Api) -> Result<(), ApiError> {
        match self {
            Self::Create(command) => command.run(api).await,
            Self::List(command) => command.run(api).await,
            Self::Show { user } => api.get(&path(user, "")).await?.print(api, |user| print!("{}", shown(&user))),
            Self::Lock { user } => set(api, user, Standing { locked: Some(true), suspended: None }).await,
            Self::Unlock { user } => set(api, user, Standing { locked: Some(false), suspended: None }).await,
            Self::Suspend { user } => set(api, user, Standing { locked: None, suspended: Some(true) }).await,
            Self::Unsuspend { user } => set(api, user, Standing { locked: None, suspended: Some(false) }).await,
            Self::Deactivate { user, erase, yes } => {
                if !yes {
                    let found: show::Response = api.get(&path(user, "")).await?.read()?;
                    let (devices, rooms) = (found.devices.len(), found.joined_rooms.len());
                    let user = found.user_id;
                    confirm(
                        &format!(
                            "End {user} for good, with {devices} devices, all keys and backups, in {rooms} rooms?"
                        ),
                        false,
                    )?;
                }
                let answer = api.post(&path(user, "/deactivate"), &Deactivate { erase: *erase }).await?;
                answer.print(api, |done: Deactivated| println!("{} is deactivated.", done.user_id))
            }
            Self::ResetPassword { user, logout, password_stdin } => {
                let wish = NewPassword { password: password(*password_stdin)?, logout: *logout };
                let answer = api.put(&path(user, "/password"), &wish).await?;
                answer.print(api, |done: PasswordSet| {
                    let out = done.logged_out.len();
                    println!("{} has another password; {out} devices were logged out.", done.user_id);
                    print_password(done.password.as_ref());
                })
            }
        }
    }
}

impl Create {
    async fn run(&self, api: &Api) -> Result<(), ApiError> {
        let request = create::Request {
            username: self.name.clone(),
            password: password(self.password_stdin)?,
            admin: self.admin,
            display_name: self.display_name.clone(),
        };
        api.post("/users", &request).await?.print(api, |made: create::Response| {
            println!("{} is made.", made.user_id);
            print_password(made.password.as_ref());
        })
    }
}

impl List {
    async fn run(&self, api: &Api) -> Result<(), ApiError> {
        let found = self.pages(api).await?;
        if api.is_json() {
            return api.print_json(&found);
        }
        let row = |user: &list::User| vec![user.user_id.to_string(), time(user.created_at), user.standing.join(", ")];
        print!("{}", table(&["user", "created (UTC)", "standing"], &found.users.iter().map(row).collect::<Vec<_>>()));
        if let Some(next) = &found.next {
            println!("There may be more: --from {next}");
        }
        Ok(())
    }

    async fn pages(&self, api: &Api) -> Result<list::Response, ApiError> {
        if let Some(term) = &self.search {
            let limit = self.limit.unwrap_or(1_000);
            return api.get(&format!("/users?search={}&limit={limit}", encoded(term))).await?.read();
        }
        let (users, next) = api
            .pages("/users", self.from.clone(), self.limit, |page: list::Response| {
                (page.users, page.next.map(|user| user.to_string()))
            })
            .await?;
        let next = next.map(|text| text.try_into()).transpose();
        Ok(list::Response { users, next: next.map_err(|_| ApiError::Strange("a user id that is none".to_owned()))? })
    }
}

async fn set(api: &Api, user: &str, standing: Standing) -> Result<(), ApiError> {
    api.put(&path(user, "/standing"), &standing).await?.print(api, |now: NewStanding| {
        let words = if now.standing.is_empty() { "in good standing".to_owned() } else { now.standing.join(", ") };
        println!("{} is {words} now.", now.user_id);
    })
}

fn shown(user: &show::Response) -> String {
    let standing = if user.standing.is_empty() { "good".to_owned() } else { user.standing.join(", ") };
    let mut text = facts(&[
        ("user", user.user_id.to_string()),
        ("display name", user.display_name.clone().unwrap_or_default()),
        ("standing", standing),
        ("password", if user.has_password { "yes" } else { "none" }.to_owned()),
        ("created (UTC)", time(user.created_at)),
        ("last seen (UTC)", maybe_time(user.last_seen_at)),
        ("rooms", user.joined_rooms.len().to_string()),
        ("devices", user.devices.len().to_string()),
    ]);
    if !user.devices.is_empty() {
        text.push('\n');
        text.push_str(&device::devices(&user.devices));
    }
    if !user.joined_rooms.is_empty() {
        let rooms: Vec<_> = user.joined_rooms.iter().map(|room| vec![room.to_string()]).collect();
        text.push('\n');
        text.push_str(&table(&["in room"], &rooms));
    }
    text
}

/// The path of a user, and what is below it.
pub(super) fn path(user: &str, below: &str) -> String {
    format!("/users/{}{below}", encoded(user))
}

/// The first line of standard input.
fn password(wanted: bool) -> Result<Option<Secret>, ApiError> {
    if !wanted {
        return Ok(None);
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    match text.lines().next().filter(|line| !line.is_empty()) {
        Some(line) => Ok(Some(line.to_owned().into())),
        None => Err(ApiError::NotThere("there is no password on standard input".to_owned())),
    }
}

fn print_password(password: Option<&Secret>) {
    if let Some(password) = password {
        println!("Password: {}", password.reveal());
    }
}
