//! What a browser is told of media, whatever their names and types are.

use http::Method;

use crate::harness::{Client, Response, Server};

/// A whole picture.
fn png() -> Vec<u8> {
    use base64::Engine as _;
    let text = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    base64::engine::general_purpose::STANDARD.decode(text).expect("a picture")
}

async fn upload(by: &Client, name: &str, kind: &str) -> String {
    let call = by.call(Method::POST, "/_matrix/media/v3/upload").query("filename", name).bytes(png(), kind);
    let uri = call.await.ok()["content_uri"].as_str().expect("a URI").to_owned();
    uri.strip_prefix("mxc://").expect("an mxc URI").to_owned()
}

#[track_caller]
fn is_sandboxed(answer: &Response) {
    assert_eq!(answer.status, 200, "{answer}");
    let policy = answer.header("content-security-policy");
    for part in ["sandbox", "default-src 'none'", "script-src 'none'", "object-src 'self'"] {
        assert!(policy.split(';').any(|directive| directive.trim() == part), "{part} is not in {policy}");
    }
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("cross-origin-resource-policy"), "cross-origin");
}

/// MED-7: names come back in a form no header, no shell of a browser and no file system reads as something else.
#[tokio::test]
async fn file_names_are_made_harmless() {
    let alice = Server::shared().await.user("alice").await;
    let cases = [
        ("a.png", "inline; filename=a.png"),
        ("a b.png", "inline; filename=\"a b.png\""),
        ("a\"; x=\"b", "inline; filename=\"a\\\"; x=\\\"b\""),
        ("a\r\nset-cookie: x=1", "inline; filename=\"aset-cookie: x=1\""),
        ("a\0b\u{7f}", "inline; filename=ab"),
        ("é.png", "inline; filename*=utf-8''%C3%A9.png"),
        ("../../etc/passwd", "inline; filename=.._.._etc_passwd"),
        ("..\\x", "inline; filename=.._x"),
        ("..", "inline"),
        ("/", "inline; filename=_"),
        ("gpj\u{202e}.exe", "inline; filename=gpj.exe"),
        ("\u{1}", "inline"),
    ];
    for (name, expected) in cases {
        let media = upload(&alice, name, "image/png").await;
        let by_path = format!("{media}/{}", crate::harness::segment(name));
        // A client takes dots alone out of a path.
        for media in [Some(media), (name != "..").then_some(by_path)].into_iter().flatten() {
            let answer = alice.get(format!("/_matrix/client/v1/media/download/{media}")).await;
            is_sandboxed(&answer);
            assert_eq!(answer.header("content-disposition"), expected, "{name:?}");
            assert_eq!(answer.header("set-cookie"), "");
        }
    }
}

/// MED-7: thumbnails are sandboxed as the content is.
#[tokio::test]
async fn thumbnails_are_sandboxed() {
    let alice = Server::shared().await.user("alice").await;
    let media = upload(&alice, "a.png", "image/png").await;
    for method in ["crop", "scale"] {
        let path = format!("/_matrix/client/v1/media/thumbnail/{media}?width=32&height=32&method={method}");
        is_sandboxed(&alice.get(path).await);
    }
}

/// MED-7: only one type, and that of the list, is shown in place.
#[tokio::test]
async fn odd_content_types_are_files() {
    let alice = Server::shared().await.user("alice").await;
    for kind in
        ["image/png, text/html", "image/png text/html", "text/html;image/png", "image/", "text/html ; text/plain"]
    {
        let media = upload(&alice, "a", kind).await;
        let answer = alice.get(format!("/_matrix/client/v1/media/download/{media}")).await;
        is_sandboxed(&answer);
        assert_eq!(answer.header("content-disposition"), "attachment; filename=a", "{kind}");
    }
}
