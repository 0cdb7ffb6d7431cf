//! What who has the token may change.

use std::sync::{Arc, Mutex};

use super::*;

async fn post(world: &World, path: &str, token: &str) -> u16 {
    let request = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n");
    world.ask(&request).await.status
}

#[tokio::test]
async fn an_endpoint_is_taken_back_before_its_time_is_over() {
    let world = World::start(|builder| builder.admin(Admin::at("127.0.0.1:0").token("t0ken"))).await;
    assert_eq!(world.call("v2").await, 503);
    let path = format!("/mesh/uneject/{}", world.bad);
    assert_eq!(post(&world, &path, "wrong").await, 401);
    assert_eq!(world.endpoint("v2").await["health"], "ejected");
    assert_eq!(post(&world, &path, "t0ken").await, 200);
    assert_eq!(world.endpoint("v2").await["health"], "ok");
    assert_eq!(post(&world, "/mesh/uneject/10.9.9.9:1", "t0ken").await, 404);
}

#[tokio::test]
async fn a_draining_process_is_live_and_not_ready() {
    let world = World::start(|builder| builder.admin(Admin::at("127.0.0.1:0").token("t0ken"))).await;
    assert_eq!(world.get("/ready").await.status, 200);
    assert_eq!(post(&world, "/mesh/drain?seconds=x", "t0ken").await, 400);
    assert_eq!(post(&world, "/mesh/drain?seconds=0", "t0ken").await, 202);
    let draining = async {
        while world.get("/ready").await.status == 200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(5), draining).await.unwrap();
    assert_eq!(world.get("/ready").await.body, "draining\n");
    assert_eq!(world.get("/live").await.status, 200);
}

#[tokio::test]
async fn the_level_of_the_log_is_set_as_the_application_says() {
    let said = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&said);
    let set = move |level: &str| {
        hears.lock().unwrap().push(level.to_owned());
        if level == "bad" { Err("no such level".into()) } else { Ok(()) }
    };
    let admin = Admin::at("127.0.0.1:0").token("t0ken").log_level(set);
    let world = World::start(|builder| builder.admin(admin)).await;
    assert_eq!(post(&world, "/mesh/log?level=mesh%3Ddebug", "t0ken").await, 200);
    assert_eq!(post(&world, "/mesh/log?level=bad", "t0ken").await, 400);
    assert_eq!(*said.lock().unwrap(), ["mesh=debug", "bad"]);
    let without = World::start(|builder| builder.admin(Admin::at("127.0.0.1:0").token("t0ken"))).await;
    assert_eq!(post(&without, "/mesh/log?level=info", "t0ken").await, 501);
}
