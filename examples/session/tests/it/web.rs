//! What the server answers, and how it ends.

use std::process::Command;

use hyper::StatusCode;

use crate::support::{Server, run};

#[test]
fn a_session_begins_lasts_and_ends() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let mut server = Server::start(&dir.path().join("sessions"), &["--lifetime", "1h"]);
        let mut connection = server.connect(2).await;
        let token = connection.login("ada").await.unwrap().token().unwrap();
        let me = connection.me(token).await.unwrap().me().unwrap();
        assert_eq!(me.user, "ada");
        assert_eq!(me.ends_at - me.began_at, 3_600_000_000);
        assert_eq!(connection.logout(token).await.unwrap().status, StatusCode::NO_CONTENT);
        assert_eq!(connection.me(token).await.unwrap().status, StatusCode::UNAUTHORIZED);
        assert_eq!(connection.logout(token).await.unwrap().status, StatusCode::NO_CONTENT);
        assert_eq!(connection.login("").await.unwrap().status, StatusCode::UNPROCESSABLE_ENTITY);
        drop(connection);

        // A second server on the same file is refused.
        let second = Command::new(env!("CARGO_BIN_EXE_example-session"))
            .args(["serve", "--port", "0", "--file"])
            .arg(dir.path().join("sessions"))
            .output()
            .unwrap();
        assert_eq!(second.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&second.stderr).contains("sessions"), "{second:?}");

        let pid = server.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(server.child.wait().unwrap().success(), "asked to end, it closes the file");
    });
}

#[test]
fn ended_sessions_are_swept_up() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let server = Server::start(&dir.path().join("sessions"), &["--lifetime", "1ms"]);
        let mut connection = server.connect(2).await;
        for _ in 0..50 {
            connection.login("ada").await.unwrap();
        }
        // The sweep comes within a second or two, unless the machine has much else to do.
        for _ in 0..200 {
            let stats = connection.stats().await.unwrap();
            if String::from_utf8_lossy(&stats.body).contains("\"sessions\":0") {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("sessions that ended are still there after 20 s");
    });
}

#[test]
fn a_short_load_is_answered() {
    let output = Command::new(env!("CARGO_BIN_EXE_example-session"))
        .args(["load", "--connections", "4", "--requests", "500", "--time", "20s"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(text.contains("500 requests in"), "{text}");
    assert!(!text.contains("answered 4") && !text.contains("answered 5"), "{text}");
}
