#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test code")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use updraft_peers::{Cut, MariaDb, Proxy, RabbitMq};

#[test]
fn mariadb_keeps_what_was_committed_when_it_is_killed() {
    let server = Arc::new(MariaDb::start());
    let database = server.database();
    let table = format!("{}.kept", database.name());
    server.execute(&format!("CREATE TABLE {table} (number BIGINT); INSERT INTO {table} VALUES (7)"));
    server.kill();
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).is_err());
    server.restart();
    assert_eq!(server.execute(&format!("SELECT number FROM {table}")), "7\n");
    server.stop();
    server.restart();
    assert_eq!(server.execute(&format!("SELECT number FROM {table}")), "7\n");
}

#[test]
fn rabbitmq_answers_after_it_was_killed() {
    let broker = RabbitMq::start();
    broker.kill();
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, broker.port())).is_err());
    broker.restart();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, broker.port())).unwrap();
    stream.write_all(b"AMQP\x00\x00\x09\x01").unwrap();
    let mut frame = [0; 1];
    stream.read_exact(&mut frame).unwrap();
    assert_eq!(frame, [1], "a method frame: Connection.Start");
    broker.stop();
}

#[test]
fn a_proxy_cuts_where_it_is_told_to() {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap().port());
    let exchange = |text: &[u8]| {
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        client.write_all(text).unwrap();
        let mut answer = Vec::new();
        let echo = std::thread::spawn(move || {
            let mut seen = vec![0; 64];
            let read = server.read(&mut seen).unwrap_or(0);
            let _sent = server.write_all(b"answer");
            seen[..read].to_vec()
        });
        let _cut = client.read_to_end(&mut answer);
        (echo.join().unwrap(), answer)
    };
    assert_eq!(exchange(b"COMMIT"), (b"COMMIT".to_vec(), b"answer".to_vec()));
    proxy.cut(Cut::Before(b"COMMIT".to_vec()));
    assert_eq!(exchange(b"COMMIT"), (Vec::new(), Vec::new()));
    proxy.cut(Cut::After(b"COMMIT".to_vec()));
    assert_eq!(exchange(b"COMMIT"), (b"COMMIT".to_vec(), Vec::new()));
    proxy.cut(Cut::AfterBytes(3));
    assert_eq!(exchange(b"COMMIT"), (b"COM".to_vec(), Vec::new()));
    assert!(!proxy.is_armed());
}

/// Runs itself in a process that is killed, and looks at what is left.
#[test]
fn nothing_outlives_a_killed_test_program() {
    if std::env::var_os("UPDRAFT_PEERS_VICTIM").is_some() {
        let server = MariaDb::start();
        println!("{} {}", server.folder().display(), server.port());
        std::process::abort();
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "nothing_outlives_a_killed_test_program", "--nocapture"])
        .env("UPDRAFT_PEERS_VICTIM", "yes")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut words = text.split_whitespace().skip_while(|word| !word.contains("updraft-mariadb-"));
    let (folder, port) = (words.next().unwrap(), words.next().unwrap().parse::<u16>().unwrap());
    for _ in 0..600 {
        if !Path::new(folder).exists() {
            assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err(), "the server still runs");
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("{folder} is still there");
}
