//! Who is let in.

use super::*;

#[tokio::test]
async fn a_page_that_points_its_own_name_here_learns_nothing() {
    let world = World::plain().await;
    let answer = world.ask("GET /mesh/config HTTP/1.1\r\nhost: attacker.example:15000\r\n\r\n").await;
    assert_eq!(answer.status, 421);
    assert!(!answer.body.contains("reviews"), "{}", answer.body);
    let absolute = "GET http://attacker.example/mesh/config HTTP/1.1\r\nhost: localhost\r\n\r\n";
    assert_eq!(world.ask(absolute).await.status, 421);
}

#[tokio::test]
async fn only_what_reads_is_allowed_without_a_token() {
    let world = World::plain().await;
    for (method, status) in [("POST", 403), ("PUT", 405), ("DELETE", 405), ("OPTIONS", 405)] {
        let answer = world.ask(&format!("{method} /mesh/drain HTTP/1.1\r\nhost: localhost\r\n\r\n")).await;
        assert_eq!(answer.status, status, "{method}");
    }
    assert_eq!(world.get("/ready").await.status, 200);
}

#[tokio::test]
async fn an_address_that_others_reach_has_to_be_allowed() {
    let error = Mesh::builder().admin("0.0.0.0:0").build().await.unwrap_err().to_string();
    assert!(error.contains("the admin server cannot start") && error.contains("beyond_loopback"), "{error}");
    let mesh = Mesh::builder().admin(Admin::at("0.0.0.0:0").beyond_loopback()).build().await.unwrap();
    assert_ne!(mesh.admin_address().unwrap().port(), 0);
    assert_eq!(Mesh::builder().build().await.unwrap().admin_address(), None);
}

#[tokio::test]
async fn connections_are_bounded_and_the_silent_make_room() {
    let world = World::plain().await;
    let mut silent = Vec::new();
    for _ in 0..32 {
        silent.push(world.connect().await);
    }
    let mut waiting = world.connect().await;
    waiting.write_all(b"GET /live HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut byte = [0];
    assert!(timeout(Duration::from_millis(200), waiting.read(&mut byte)).await.is_err(), "a 33rd was served");
    silent.pop();
    assert_eq!(timeout(Duration::from_secs(5), waiting.read(&mut byte)).await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn the_server_goes_with_the_mesh() {
    let world = World::plain().await;
    let address = world.mesh.admin_address().unwrap();
    drop(world);
    let gone = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(Duration::from_secs(5), gone).await.is_ok());
}
