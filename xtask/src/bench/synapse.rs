//! Synapse, installed from PyPI into a directory of its own, to be measured beside Olmstead.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use olmstead_postgres_cluster::{Cluster, Database};

use crate::Failure;
use crate::env::target_dir;
use crate::process::{Running, check, command, describe};
use crate::server::{Scratch, free_address};

/// What it is called on the command line and in reports.
pub(super) const NAME: &str = "synapse";
/// For it to make its tables and listen.
const START: Duration = Duration::from_secs(180);
const PACKAGE: &str = "matrix-synapse==1.163.2";
/// The driver for PostgreSQL, with its library in it.
const DRIVER: &str = "psycopg2-binary";

/// A running Synapse.
pub(super) struct Synapse {
    running: Running,
    address: SocketAddr,
    // What it needs goes after it.
    _database: Database,
    _scratch: Scratch,
}

impl Synapse {
    /// Installs it if it is not there, and starts it on a fresh database of the cluster.
    ///
    /// # Errors
    /// If there is no Python, no package, or it does not start.
    pub(super) fn start(cluster: &Cluster) -> Result<Self, Failure> {
        let scratch = Scratch::new("bench-synapse")?;
        let python = install()?;
        let database = Database::create(&cluster.url("postgres"), "synapse").map_err(|e| e.to_string())?;
        let address = free_address()?;
        let directory = scratch.path();
        let file = directory.join("homeserver.yaml");
        let sockets = database.url().split_once("?host=").map_or("", |(_, host)| host);
        let text = CONFIGURATION
            .replace("{directory}", &directory.to_string_lossy())
            .replace("{port}", &address.port().to_string())
            .replace("{database}", database.name())
            .replace("{sockets}", sockets);
        fs::write(&file, text).map_err(|e| format!("cannot write {}: {e}", file.display()))?;
        let log = directory.join("log.yaml");
        fs::write(&log, LOG).map_err(|e| format!("cannot write {}: {e}", log.display()))?;
        let mut keys = command(&python);
        keys.args(["-m", "synapse.app.homeserver", "--generate-keys", "-c"]).arg(&file);
        check(keys.current_dir(directory))?;
        let mut server = command(&python);
        server.args(["-m", "synapse.app.homeserver", "-c"]).arg(&file).current_dir(directory);
        println!("$ {}", describe(&server));
        let mut running = Running::start(&mut server)?;
        running.wait_until("Synapse", START, || TcpStream::connect(address).is_ok())?;
        Ok(Self { running, address, _database: database, _scratch: scratch })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn process(&self) -> u32 {
        self.running.process()
    }
}

/// The Python with Synapse in it.
fn install() -> Result<PathBuf, Failure> {
    let home = target_dir().join("peers/synapse");
    let python = home.join("bin/python");
    if home.join("bin/synapse_homeserver").is_file() {
        return Ok(python);
    }
    println!("Installing {PACKAGE} from PyPI into {}.", home.display());
    check(command("python3").args(["-m", "venv"]).arg(&home))?;
    check(command(&python).args(["-m", "pip", "install", "--quiet", PACKAGE, DRIVER]))?;
    Ok(python)
}

/// Nothing is limited, logged or sent, passwords are cheap: what is measured is the work itself.
const CONFIGURATION: &str = "\
server_name: localhost
pid_file: {directory}/synapse.pid
listeners:
  - port: {port}
    type: http
    bind_addresses: [127.0.0.1]
    resources:
      - names: [client]
database:
  name: psycopg2
  args:
    user: postgres
    database: {database}
    host: {sockets}
    cp_min: 5
    cp_max: 16
log_config: {directory}/log.yaml
media_store_path: {directory}/media
signing_key_path: {directory}/signing.key
report_stats: false
trusted_key_servers: []
enable_registration: true
enable_registration_without_verification: true
bcrypt_rounds: 4
registration_shared_secret: bench
macaroon_secret_key: bench
form_secret: bench
presence: {enabled: false}
rc_message: &free {per_second: 1000000, burst_count: 1000000}
rc_registration: *free
rc_login: {address: *free, account: *free, failed_attempts: *free}
rc_joins: {local: *free, remote: *free}
rc_joins_per_room: *free
rc_invites: {per_room: *free, per_user: *free, per_issuer: *free}
rc_room_creation: *free
rc_key_requests: *free
rc_presence: {per_user: *free}
rc_delayed_event_mgmt: *free
";

const LOG: &str = "\
version: 1
formatters: {plain: {format: '%(asctime)s %(levelname)s %(message)s'}}
handlers: {console: {class: logging.StreamHandler, formatter: plain}}
root: {level: ERROR, handlers: [console]}
";
