//! Media: encrypted attachments go in and come out byte for byte, and to nobody without a token.

use http::Method;
use serde_json::json;

use crate::harness::{Call, Client, Raw, Server, segment};

const DOWNLOAD: &str = "/_matrix/client/v1/media/download";
const THUMBNAIL: &str = "/_matrix/client/v1/media/thumbnail";
const UPLOAD: &str = "/_matrix/media/v3/upload";
/// The largest upload.
const LIMIT: usize = 50 * 1024 * 1024;

/// Uploads; the server's name and the media id, with a slash between.
async fn upload(by: &Client, content: impl Into<Vec<u8>>, content_type: &str) -> String {
    let reply = by.call(Method::POST, UPLOAD).bytes(content, content_type).await;
    let uri = reply.ok()["content_uri"].as_str().expect("a URI").to_owned();
    uri.strip_prefix("mxc://").expect("an mxc URI").to_owned()
}

fn download(by: &Client, media: &str) -> Call {
    by.get(format!("{DOWNLOAD}/{media}"))
}

/// Bytes of all values that look like nothing.
fn ciphertext(length: u32, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

/// The smallest picture.
fn png() -> Vec<u8> {
    use base64::Engine as _;
    let text = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    base64::engine::general_purpose::STANDARD.decode(text).expect("a picture")
}

/// MED-1: content and thumbnails are for who has a token.
#[tokio::test]
async fn media_need_a_token() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let media = upload(&alice, png(), "image/png").await;
    let thumbnail = format!("{THUMBNAIL}/{media}?width=32&height=32");
    let paths = [format!("{DOWNLOAD}/{media}"), format!("{DOWNLOAD}/{media}/name.png"), thumbnail];
    let gone = bob.login("GONE").await;
    gone.logout().await;
    for path in paths {
        alice.get(&path).token(None).await.error(401, "M_MISSING_TOKEN");
        alice.get(&path).token(Some("no-such-token")).await.error(401, "M_UNKNOWN_TOKEN");
        gone.get(&path).await.error(401, "M_UNKNOWN_TOKEN");
        for client in [&alice, &bob] {
            assert_eq!(client.get(&path).await.status, 200, "{path}");
        }
    }
    alice.call(Method::POST, UPLOAD).bytes("x", "text/plain").token(None).await.error(401, "M_MISSING_TOKEN");
}

/// MED-4: the old paths without a token have none of it.
#[tokio::test]
async fn the_old_paths_are_frozen() {
    let alice = Server::shared().await.user("alice").await;
    let media = upload(&alice, png(), "image/png").await;
    let unknown = media.replace(|letter: char| letter.is_ascii_uppercase(), "z");
    for version in ["v3", "r0", "v1"] {
        for media in [&media, &unknown] {
            let base = format!("/_matrix/media/{version}");
            let paths = [
                format!("{base}/download/{media}"),
                format!("{base}/download/{media}/name.png"),
                format!("{base}/download/{media}?allow_remote=false"),
                format!("{base}/thumbnail/{media}?width=32&height=32&method=crop"),
            ];
            for path in paths {
                // Not even for who has a token: nobody is to rest on them.
                for token in [None, alice.token()] {
                    alice.get(&path).token(token).await.error(404, "M_NOT_FOUND");
                }
            }
        }
    }
    download(&alice, &unknown).await.error(404, "M_NOT_FOUND");
    assert_eq!(download(&alice, &media).await.bytes, png());
}

/// MED-5: what comes out is what went in, whatever it is said to be.
#[tokio::test]
async fn bytes_come_back_as_they_were() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let all: Vec<u8> = (0..=255).collect();
    let contents = [
        (ciphertext(1, 1), "application/octet-stream"),
        (ciphertext(65_537, 2), "application/octet-stream"),
        (ciphertext(1_000_003, 3), "application/octet-stream"),
        (all, "application/octet-stream"),
        (Vec::new(), "application/octet-stream"),
        (b"line\r\nline\n\xef\xbb\xbf\x00end \xff".to_vec(), "text/plain; charset=utf-8"),
        (ciphertext(999, 4), "image/png"),
        (b"{\"a\": 1.0 }".to_vec(), "application/json"),
    ];
    for (content, kind) in contents {
        let media = upload(&alice, content.clone(), kind).await;
        for client in [&alice, &bob] {
            for path in [format!("{DOWNLOAD}/{media}"), format!("{DOWNLOAD}/{media}/a%20name")] {
                let reply = client.get(&path).header("accept-encoding", "gzip, deflate, br").await;
                assert_eq!(reply.status, 200, "{kind}");
                assert!(reply.bytes == content, "{kind}: {} bytes came back of {}", reply.bytes.len(), content.len());
                assert_eq!(reply.header("content-type"), kind);
                assert_eq!(reply.header("content-encoding"), "");
                assert_eq!(reply.header("content-length"), content.len().to_string());
            }
        }
    }
    let untyped = alice.call(Method::POST, UPLOAD).bytes(ciphertext(64, 5), "").await.ok();
    let media = untyped["content_uri"].as_str().unwrap().strip_prefix("mxc://").unwrap().to_owned();
    assert_eq!(download(&bob, &media).await.bytes, ciphertext(64, 5));
}

/// MED-5: also by an id that was reserved before, which is filled once.
#[tokio::test]
async fn a_reserved_id_is_filled_once() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let reserved = alice.call(Method::POST, "/_matrix/media/v1/create").await.ok();
    let media = reserved["content_uri"].as_str().unwrap().strip_prefix("mxc://").unwrap().to_owned();
    download(&bob, &media).query("timeout_ms", 0).await.error(504, "M_NOT_YET_UPLOADED");
    let path = format!("{UPLOAD}/{media}");
    let put = |by: &Client, content: Vec<u8>| by.call(Method::PUT, &path).bytes(content, "application/octet-stream");
    put(&bob, vec![1]).await.error(403, "M_FORBIDDEN");
    put(&alice, ciphertext(5_000, 6)).await.ok();
    put(&alice, vec![2]).await.error(409, "M_CANNOT_OVERWRITE_MEDIA");
    assert!(download(&bob, &media).await.bytes == ciphertext(5_000, 6));
}

/// MED-6: too much is refused, whether it is announced or not, and what fits is taken.
#[tokio::test]
async fn an_upload_has_a_limit() {
    let alice = Server::shared().await.user("alice").await;
    let config = alice.get("/_matrix/client/v1/media/config").await.ok();
    assert_eq!(config["m.upload.size"].as_u64(), u64::try_from(LIMIT).ok());
    let large = || vec![7_u8; LIMIT + 1];
    alice.call(Method::POST, UPLOAD).bytes(large(), "application/octet-stream").await.error(413, "M_TOO_LARGE");
    let reserved = alice.call(Method::POST, "/_matrix/media/v1/create").await.ok();
    let media = reserved["content_uri"].as_str().unwrap().strip_prefix("mxc://").unwrap().to_owned();
    let path = format!("{UPLOAD}/{media}");
    alice.call(Method::PUT, &path).bytes(large(), "application/octet-stream").await.error(413, "M_TOO_LARGE");
    download(&alice, &media).query("timeout_ms", 0).await.error(504, "M_NOT_YET_UPLOADED");
    let media = upload(&alice, vec![7_u8; LIMIT], "application/octet-stream").await;
    assert_eq!(download(&alice, &media).await.bytes.len(), LIMIT);
}

/// MED-6: who is refused an upload hears so also when they send all of it before they listen, and can go on with the
/// connection.
#[tokio::test]
async fn a_refused_upload_may_be_sent_to_its_end() {
    let alice = Server::shared().await.user("alice").await;
    let gone = alice.login("GONE").await;
    gone.logout().await;
    for (by, length, told) in [(&alice, LIMIT + 1, (413, "M_TOO_LARGE")), (&gone, LIMIT, (401, "M_UNKNOWN_TOKEN"))] {
        let mut connection = Raw::open(alice.server()).await;
        assert!(connection.head(&Method::POST, UPLOAD, by, &format!("Content-Length: {length}")).await);
        assert!(connection.send(&vec![7_u8; length]).await, "all of it is read");
        let (status, error) = connection.answer().await;
        assert_eq!((status, error["errcode"].as_str()), (told.0, Some(told.1)));
        assert!(connection.head(&Method::GET, "/account/whoami", &alice, "Content-Length: 0").await);
        assert_eq!(connection.answer().await.0, 200);
    }
}

/// MED-6: a body that does not say its length is read up to the limit only.
#[tokio::test]
async fn an_endless_upload_is_cut_off() {
    let alice = Server::shared().await.user("alice").await;
    let chunk = [format!("{:x}\r\n", 1 << 20).as_bytes(), &vec![7_u8; 1 << 20], b"\r\n"].concat();
    let mut connection = Raw::open(alice.server()).await;
    assert!(connection.head(&Method::POST, UPLOAD, &alice, "Transfer-Encoding: chunked").await);
    for _ in 0..=LIMIT >> 20 {
        assert!(connection.send(&chunk).await);
    }
    // The body has no end yet.
    let (status, error) = connection.answer().await;
    assert_eq!((status, &error["errcode"]), (413, &json!("M_TOO_LARGE")));
}

/// MED-7: a browser shows only what cannot harm in place; ciphertext is always a file.
#[tokio::test]
async fn only_harmless_types_are_shown_in_place() {
    let alice = Server::shared().await.user("alice").await;
    let cases = [
        ("application/octet-stream", "attachment"),
        ("text/html", "attachment"),
        ("image/svg+xml", "attachment"),
        ("application/javascript", "attachment"),
        ("application/pdf", "attachment"),
        ("application/xhtml+xml", "attachment"),
        ("text/html; charset=utf-8", "attachment"),
        ("nonsense", "attachment"),
        ("image/png", "inline"),
        ("IMAGE/JPEG", "inline"),
        ("text/plain; charset=utf-8", "inline"),
        ("video/mp4", "inline"),
        ("audio/ogg", "inline"),
    ];
    for (kind, expected) in cases {
        let media = upload(&alice, b"<script>alert(1)</script>".to_vec(), kind).await;
        for path in [format!("{DOWNLOAD}/{media}"), format!("{DOWNLOAD}/{media}/a%20b.html")] {
            let reply = alice.get(&path).await;
            let disposition = reply.header("content-disposition");
            assert_eq!(disposition.split(';').next().unwrap(), expected, "{kind} {disposition}");
            assert_eq!(reply.header("x-content-type-options"), "nosniff");
            assert!(reply.header("content-security-policy").contains("sandbox"), "{kind}");
            if path.ends_with(".html") {
                assert!(disposition.contains("filename=\"a b.html\""), "{disposition}");
            }
        }
    }
    // A name cannot break out of its header.
    let reply = alice.call(Method::POST, UPLOAD).query("filename", "a\"; x=\r\nb: c").bytes("x", "image/png").await;
    let media = reply.ok()["content_uri"].as_str().unwrap().strip_prefix("mxc://").unwrap().to_owned();
    let reply = download(&alice, &media).await;
    assert_eq!((reply.status, reply.header("b")), (200, ""));
    assert!(reply.header("content-disposition").starts_with("inline"));
}

/// MED-8: an id of other characters is none, on every path that takes one.
#[tokio::test]
async fn ids_of_other_characters_are_refused() {
    let server = Server::shared().await;
    let alice = server.user("alice").await;
    let name = server.name().await;
    let media = upload(&alice, "x", "application/octet-stream").await;
    let good = media.split_once('/').unwrap().1.to_owned();
    assert!(good.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{good}");
    let long = "a".repeat(300);
    let bad = ["../../etc/passwd", "a/b", "a\\b", "a.b", "a b", "a\0", "ä", "a%2e", "%", "a+b", "a~", &long];
    for id in bad {
        let id = segment(id);
        for path in [
            format!("{DOWNLOAD}/{name}/{id}"),
            format!("{DOWNLOAD}/{name}/{id}/file"),
            format!("{THUMBNAIL}/{name}/{id}?width=1&height=1"),
            format!("/_matrix/media/v3/download/{name}/{id}"),
        ] {
            alice.get(&path).await.error(400, "M_INVALID_PARAM");
        }
        let put = alice.call(Method::PUT, format!("{UPLOAD}/{name}/{id}")).bytes("x", "text/plain");
        put.await.error(400, "M_INVALID_PARAM");
    }
    // Dots alone, which an ordinary client would take out of the path.
    for id in ["..", ".", "%2E%2E", "%2e"] {
        let mut connection = Raw::open(&server).await;
        let path = format!("{DOWNLOAD}/{name}/{id}");
        assert!(connection.head(&Method::GET, &path, &alice, "Content-Length: 0").await);
        let (status, error) = connection.answer().await;
        assert_eq!((status, &error["errcode"]), (400, &json!("M_INVALID_PARAM")), "{id}: {error}");
    }
    // Nor are servers of odd names asked, nor others.
    for server in ["a%2Fb", "%20"] {
        alice.get(format!("{DOWNLOAD}/{server}/{good}")).await.error(400, "M_INVALID_PARAM");
    }
    alice.get(format!("{DOWNLOAD}/elsewhere.example/{good}")).await.error(404, "M_NOT_FOUND");
    alice.get(format!("{DOWNLOAD}/{name}/unknownbutgood")).await.error(404, "M_NOT_FOUND");
}

/// MED-5: there is no thumbnail of ciphertext, and asking for one harms nothing.
#[tokio::test]
async fn ciphertext_has_no_thumbnail() {
    let alice = Server::shared().await.user("alice").await;
    for kind in ["application/octet-stream", "image/png"] {
        let media = upload(&alice, ciphertext(10_000, 8), kind).await;
        let reply = alice.get(format!("{THUMBNAIL}/{media}?width=32&height=32")).await;
        assert!((400..500).contains(&reply.status), "{reply}");
        assert!(download(&alice, &media).await.bytes == ciphertext(10_000, 8));
    }
}
