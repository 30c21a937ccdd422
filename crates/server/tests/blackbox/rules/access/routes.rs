//! All endpoints of the client API, and who may use each.

use http::Method;
use olmstead_service::ServiceConfig;
use serde_json::{Value, json};

use crate::harness::{Call, Client, segment};

/// Whose token an endpoint wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    Nothing,
    /// It works without, but a token that is sent must be good.
    GoodTokenIfAny,
    Token,
}

/// An endpoint at one of its paths.
#[derive(Debug, Clone)]
pub struct Route {
    pub method: Method,
    pub template: String,
    pub needs: Needs,
    pub guests: bool,
    /// Whether suspended accounts may use it; `None` where that depends on what they say (see `rules/standing.rs`).
    pub suspended: Option<bool>,
    pub locked: bool,
    /// The user in the path is the caller.
    pub own: bool,
    pub administrators: bool,
    pub body: Value,
}

impl Route {
    /// The request, with this user in the path.
    pub fn call(&self, by: &Client, user_id: &str) -> Call {
        let mut path = String::new();
        for part in self.template.split_inclusive(['{', '}']) {
            let Some(name) = part.strip_suffix('}') else {
                path.push_str(part.trim_end_matches('{'));
                continue;
            };
            path.push_str(&match name {
                "user_id" => segment(user_id),
                "room_id" | "room_id_or_alias" => "!r:localhost".to_owned(),
                "room_alias" => "%23alias:localhost".to_owned(),
                "event_id" => "$event".to_owned(),
                "server" => "localhost".to_owned(),
                "receipt_type" => "m.read".to_owned(),
                "kind" => "override".to_owned(),
                "rule_id" => ".m.rule.master".to_owned(),
                "key" => "displayname".to_owned(),
                _ => "one".to_owned(),
            });
        }
        let call = by.call(self.method.clone(), path);
        if self.method == Method::GET { call } else { call.json(self.body.clone()) }
    }

    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.template)
    }
}

/// Methods, the prefixes (`v3` is `r0` too, `all` is `unstable` too), the path, who may use it besides regular accounts,
/// and after a bar the members of a body that is not `{}`.
const TABLE: &str = r#"
POST          all      /keys/upload                                  guests suspended
POST          all      /keys/query                                   guests suspended
POST          all      /keys/claim                                   guests suspended
POST          all      /keys/device_signing/upload                   suspended
POST          all      /keys/signatures/upload                       suspended
GET           all      /keys/changes                                 suspended
PUT           all      /sendToDevice/{event_type}/{transaction_id}   guests suspended
GET           v3       /sync                                         guests suspended
POST          unstable /org.matrix.simplified_msc3575/sync           guests suspended
GET,POST      all      /room_keys/version                            suspended
GET,PUT,DELETE all     /room_keys/version/{version}                  suspended
GET,PUT,DELETE all     /room_keys/keys                               suspended
GET,PUT,DELETE all     /room_keys/keys/{room_id}                     suspended
GET,PUT,DELETE all     /room_keys/keys/{room_id}/{session_id}        suspended
GET,PUT,DELETE unstable /org.matrix.msc3814.v1/dehydrated_device     -
GET,POST      unstable /org.matrix.msc3814.v1/dehydrated_device/{device_id}/events -
GET           v3       /devices                                      guests suspended
GET,PUT       v3       /devices/{device_id}                          guests suspended
DELETE        v3       /devices/{device_id}                          suspended
POST          v3       /delete_devices                               suspended
GET,PUT       v3       /user/{user_id}/account_data/{type}           own suspended
GET,PUT       v3       /user/{user_id}/rooms/{room_id}/account_data/{type} own suspended
GET           v3       /user/{user_id}/rooms/{room_id}/tags          own suspended
PUT,DELETE    v3       /user/{user_id}/rooms/{room_id}/tags/{tag}    own suspended
POST          v3       /user/{user_id}/filter                        own guests suspended
GET           v3       /user/{user_id}/filter/{filter_id}            own guests suspended
POST          v3       /user/{user_id}/openid/request_token          own
GET           v3       /profile/{user_id}                            open
GET           v3       /profile/{user_id}/{key}                      open
PUT           v3       /profile/{user_id}/{key}                      own guests | "displayname": "x"
DELETE        v3       /profile/{user_id}/{key}                      own guests
GET           v3       /presence/{user_id}/status                    suspended
PUT           v3       /presence/{user_id}/status                    own | "presence": "online"
POST          v3       /user_directory/search                        suspended
GET           v3       /pushrules/                                   guests suspended
GET           v3       /pushrules                                    guests suspended
GET           v3       /pushrules/global/                            guests suspended
GET           v3       /pushrules/global                             guests suspended
GET           v3       /pushrules/global/{kind}/{rule_id}            guests suspended
PUT,DELETE    v3       /pushrules/global/{kind}/{rule_id}            -
GET           v3       /pushrules/global/{kind}/{rule_id}/enabled    guests suspended
PUT           v3       /pushrules/global/{kind}/{rule_id}/enabled    -
GET           v3       /pushrules/global/{kind}/{rule_id}/actions    guests suspended
PUT           v3       /pushrules/global/{kind}/{rule_id}/actions    -
GET           v3       /pushers                                      -
POST          v3       /pushers/set                                  -
POST          v3       /createRoom                                   -
POST          v3       /join/{room_id_or_alias}                      guests
POST          v3       /knock/{room_id_or_alias}                     -
POST          v3       /rooms/{room_id}/join                         guests
POST          v3       /rooms/{room_id}/invite                       -
POST          v3       /rooms/{room_id}/leave                        guests suspended
POST          v3       /rooms/{room_id}/forget                       suspended
POST          v3       /rooms/{room_id}/kick                         -
POST          v3       /rooms/{room_id}/ban                          -
POST          v3       /rooms/{room_id}/unban                        -
GET           v3       /joined_rooms                                 suspended
GET           v3       /rooms/{room_id}/members                      guests suspended
GET           v3       /rooms/{room_id}/joined_members               suspended
PUT           v3       /rooms/{room_id}/send/{event_type}/{transaction_id} guests
PUT           v3       /rooms/{room_id}/redact/{event_id}/{transaction_id} depends
GET           v3       /rooms/{room_id}/state                        guests suspended
GET           v3       /rooms/{room_id}/state/{event_type}           guests suspended
PUT           v3       /rooms/{room_id}/state/{event_type}           guests
GET           v3       /rooms/{room_id}/state/{event_type}/          guests suspended
PUT           v3       /rooms/{room_id}/state/{event_type}/          guests
GET           v3       /rooms/{room_id}/state/{event_type}/{state_key} guests suspended
PUT           v3       /rooms/{room_id}/state/{event_type}/{state_key} guests
GET           v3       /rooms/{room_id}/event/{event_id}             guests suspended
GET           v3       /rooms/{room_id}/messages                     guests suspended
GET           v3       /rooms/{room_id}/context/{event_id}           guests suspended
GET           v1       /rooms/{room_id}/relations/{event_id}         suspended
GET           v1       /rooms/{room_id}/relations/{event_id}/{rel_type} suspended
GET           v1       /rooms/{room_id}/relations/{event_id}/{rel_type}/{event_type} suspended
GET           v1       /rooms/{room_id}/threads                      suspended
GET           v1       /rooms/{room_id}/timestamp_to_event           suspended
PUT           v3       /rooms/{room_id}/typing/{user_id}             own | "typing": false
POST          v3       /rooms/{room_id}/receipt/{receipt_type}/{event_id} suspended
POST          v3       /rooms/{room_id}/read_markers                 suspended
POST          v3       /rooms/{room_id}/upgrade                      -
POST          v3       /rooms/{room_id}/report                       suspended
POST          v3       /rooms/{room_id}/report/{event_id}            suspended
POST          v3       /users/{user_id}/report                       suspended
GET           v3       /directory/room/{room_alias}                  open
PUT,DELETE    v3       /directory/room/{room_alias}                  -
GET           v3       /rooms/{room_id}/aliases                      suspended
GET           v3       /directory/list/room/{room_id}                open
PUT           v3       /directory/list/room/{room_id}                -
GET           v3       /publicRooms                                  open
POST          v3       /publicRooms                                  suspended
GET           v1       /room_summary/{room_id_or_alias}              optional guests suspended
GET           v1       /rooms/{room_id}/hierarchy                    suspended
GET           v1       /media/config                                 guests suspended
GET           v1       /media/download/{server}/{media_id}           guests suspended
GET           v1       /media/download/{server}/{media_id}/{file_name} guests suspended
GET           v1       /media/thumbnail/{server}/{media_id}          guests suspended
POST          -        /_matrix/media/v1/create                      -
PUT           -        /_matrix/media/v3/upload/{server}/{media_id}  -
POST          media    /upload                                       -
GET           media    /config                                       guests suspended
GET           media    /download/{server}/{media_id}                 open
GET           media    /download/{server}/{media_id}/{file_name}     open
GET           media    /thumbnail/{server}/{media_id}                open
GET           -        /_matrix/client/versions                      open
GET           -        /.well-known/matrix/client                    open
GET           v3       /capabilities                                 guests suspended
GET           v3       /voip/turnServer                              guests suspended
POST          v3       /register                                     open
GET           v3       /register/available                           open
GET           v1       /register/m.login.registration_token/validity open
GET,POST      v3       /login                                        open
POST          v1       /login/get_token                              suspended
POST          v3       /logout                                       guests suspended locked
POST          v3       /logout/all                                   guests suspended locked
POST          v3       /refresh                                      open
POST          v1       /refresh                                      open
GET           v3       /account/whoami                               guests suspended
POST          v3       /account/password                             -
POST          v3       /account/deactivate                           suspended
GET           v3       /account/3pid                                 suspended
GET           -        /_matrix/federation/v1/openid/userinfo        open
GET           v1       /admin/lock/{user_id}                         administrators
PUT           v1       /admin/lock/{user_id}                         administrators | "locked": true
GET           v1       /admin/suspend/{user_id}                      administrators
PUT           v1       /admin/suspend/{user_id}                      administrators | "suspended": true
GET,POST      -        /_synapse/admin/v1/register                   open
"#;

/// The table, an entry for each method and path.
pub fn all() -> Vec<Route> {
    TABLE.lines().filter(|line| !line.is_empty()).flat_map(line).collect()
}

fn line(line: &str) -> Vec<Route> {
    let (line, body) = line.split_once('|').unwrap_or((line, ""));
    let mut words = line.split_whitespace();
    let mut word = || words.next().unwrap_or_else(|| panic!("the table has a short line: {line}"));
    let (methods, prefix, path) = (word(), word(), word());
    let flags: Vec<&str> = words.collect();
    let is = |flag: &str| flags.contains(&flag);
    let client = |version: &str| format!("/_matrix/client/{version}");
    let prefixes = match prefix {
        "v3" => vec![client("v3"), client("r0")],
        "all" => vec![client("v3"), client("r0"), client("unstable")],
        "v1" | "unstable" => vec![client(prefix)],
        "media" => ["v3", "r0", "v1"].map(|version| format!("/_matrix/media/{version}")).into(),
        "-" => vec![String::new()],
        other => panic!("the table has an unknown prefix: {other}"),
    };
    let one = |method: &str, prefix: &String| Route {
        method: method.parse().expect("a method"),
        template: format!("{prefix}{path}"),
        needs: match (is("open"), is("optional")) {
            (true, _) => Needs::Nothing,
            (false, true) => Needs::GoodTokenIfAny,
            (false, false) => Needs::Token,
        },
        guests: is("guests"),
        suspended: (!is("depends")).then(|| is("suspended")),
        locked: is("locked"),
        own: is("own"),
        administrators: is("administrators"),
        body: serde_json::from_str(&format!("{{{body}}}")).expect("a body"),
    };
    methods.split(',').flat_map(|method| prefixes.iter().map(move |prefix| one(method, prefix))).collect()
}

/// The paths that the server's router has, in the router's own words: it tells them in its `Debug` form only.
pub fn of_the_router() -> Vec<String> {
    let config = ServiceConfig::new(ruma::server_name!("localhost").to_owned());
    let text = format!("{:?}", olmstead_http::client::routes(&config));
    let (_, paths) = text.split_once("paths: {").expect("the router tells its paths");
    let (paths, _) = paths.split_once("\"}").expect("the list of paths ends");
    let paths: Vec<String> = paths.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    assert!(paths.len() > 100 && paths.iter().all(|path| path.starts_with('/')), "{paths:?}");
    paths
}

/// Some body, where none is to be looked at.
pub fn nonsense() -> Value {
    json!({"nonsense": true})
}
