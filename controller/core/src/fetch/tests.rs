use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{Addresses, FetchError, FetchRules, Fetcher, Resolve};

/// Answers each question with the next of its answers, and the last one for ever.
#[derive(Debug)]
struct Script {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    asked: AtomicUsize,
}

impl Script {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parsed = |list: &&[&str]| list.iter().map(|text| text.parse().unwrap()).collect();
        Arc::new(Self {
            answers: Mutex::new(answers.iter().map(parsed).collect()),
            asked: AtomicUsize::new(0),
        })
    }
}

impl Resolve for Script {
    fn resolve<'a>(&'a self, _host: &'a str) -> Addresses<'a> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        Box::pin(async move { answer.ok_or_else(|| io::ErrorKind::NotFound.into()) })
    }
}

/// A server on a loopback address that gives everybody the same answer; its port and how often it was asked.
async fn server(address: &str, answer: &'static str) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((address, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (port, asked)
}

const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";

fn rules(ports: &[u16], allowed: &[&str]) -> FetchRules {
    FetchRules {
        ports: ports.to_vec(),
        allowed_networks: allowed.iter().map(|text| text.parse().unwrap()).collect(),
        ..FetchRules::default()
    }
}

/// THREATS row 14: ways to write an address that only we can reach.
const HIDDEN: [&str; 38] = [
    "http://127.0.0.1/",
    "http://127.1/",
    "http://127.0.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.1/",
    "http://0x7F.0x0.0x0.0x1/",
    "http://017700000001/",
    "http://0177.0.0.01/",
    "http://0/",
    "http://0.0.0.0/",
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://0251.0376.0251.0376/",
    "http://169.254.43518/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://[::]/",
    "http://[::1]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[2002:7f00:1::]/",
    "http://[2001:0:7f00:1::]/",
    "http://[fe80::1]/",
    "http://[fc00::1]/",
    "http://[fd00:ec2::254]/",
    "http://[ff02::1]/",
    "http://\u{ff11}\u{ff12}\u{ff17}.\u{ff10}.\u{ff10}.\u{ff11}/",
];

#[tokio::test]
async fn row_14_no_spelling_of_an_address_leads_inside() {
    let script = Script::new(&[&["1.1.1.1"]]);
    let fetcher = Fetcher::with_resolver(FetchRules::default(), script.clone());
    for url in HIDDEN {
        assert!(matches!(fetcher.check(url), Err(FetchError::Refused(_))), "{url}");
        assert!(matches!(fetcher.get(url).await, Err(FetchError::Refused(_))), "{url}");
    }
    assert_eq!(script.asked.load(Ordering::Relaxed), 0, "an address is not a name to be resolved");
}

#[tokio::test]
async fn what_is_not_a_plain_url_is_refused() {
    let fetcher = Fetcher::new(FetchRules::default());
    for url in [
        "",
        "image.qcow2",
        "file:///etc/shadow",
        "ftp://example.org/",
        "gopher://example.org/",
        "http:///etc/shadow",
        "http://user:secret@example.org/",
        "http://example.org:22/",
        "https://example.org:8774/",
        "javascript:1",
    ] {
        assert!(matches!(fetcher.check(url), Err(FetchError::Refused(_))), "{url}");
    }
    assert!(fetcher.check(&format!("http://example.org/{}", "x".repeat(3000))).is_err());
    fetcher.check("https://example.org/image.qcow2").unwrap();
}

#[tokio::test]
async fn a_name_with_one_address_inside_is_refused_whole() {
    for answer in [["1.1.1.1", "127.0.0.1"], ["::1", "2606:4700::1111"], ["169.254.169.254", "1.1.1.1"]] {
        let fetcher = Fetcher::with_resolver(FetchRules::default(), Script::new(&[&answer]));
        let refused = fetcher.get("http://example.org/").await;
        assert!(matches!(refused, Err(FetchError::Refused(_))), "{answer:?}: {refused:?}");
    }
}

/// The name is good when it is checked, and bad from then on. The address that was checked is the one gone to.
#[tokio::test]
async fn row_14_a_name_that_changes_its_mind_gains_nothing() {
    let (port, good) = server("127.0.0.2", HELLO).await;
    let script = Script::new(&[&["127.0.0.2"], &["127.0.0.1"]]);
    let fetcher = Fetcher::with_resolver(rules(&[port], &["127.0.0.2/32"]), script.clone());
    let url = format!("http://rebinding.example:{port}/");
    let body = fetcher.get(&url).await.unwrap().text().await.unwrap();
    assert_eq!((body.as_str(), good.load(Ordering::Relaxed)), ("hello", 1));
    assert_eq!(script.asked.load(Ordering::Relaxed), 1, "resolved once for one request");
    assert!(matches!(fetcher.get(&url).await, Err(FetchError::Refused(_))));
}

#[tokio::test]
async fn row_14_redirects_are_checked_like_the_first_url() {
    let (inside, asked) = server("127.0.0.1", HELLO).await;
    for target in [
        format!("http://127.0.0.1:{inside}/"),
        format!("http://2130706433:{inside}/"),
        "file:///etc/shadow".to_owned(),
        "http://rebinding.example:22/".to_owned(),
    ] {
        let answer = format!(
            "HTTP/1.1 302 Found\r\nlocation: {target}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        let (port, _) = server("127.0.0.2", answer.leak()).await;
        let fetcher =
            Fetcher::with_resolver(rules(&[port, inside], &["127.0.0.2/32"]), Script::new(&[&["127.0.0.2"]]));
        let refused = fetcher.get(&format!("http://example.org:{port}/")).await;
        assert!(matches!(refused, Err(FetchError::Refused(_))), "{target}: {refused:?}");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn redirects_end_after_three() {
    let answer = "HTTP/1.1 302 Found\r\nlocation: /again\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let (port, asked) = server("127.0.0.2", answer).await;
    let fetcher = Fetcher::new(rules(&[port], &["127.0.0.0/8"]));
    let refused = fetcher.get(&format!("http://127.0.0.2:{port}/")).await;
    assert!(matches!(refused, Err(FetchError::Redirects)), "{refused:?}");
    assert_eq!(asked.load(Ordering::Relaxed), 4);
}

#[test]
fn the_operator_allows_and_forbids() {
    let allowed =
        FetchRules { denied_networks: vec!["10.9.0.0/16".parse().unwrap()], ..rules(&[80], &["10.0.0.0/8"]) };
    let fetcher = Fetcher::new(allowed);
    fetcher.check("http://10.1.0.1/").unwrap();
    fetcher.check("http://[::ffff:10.1.0.1]/").unwrap();
    assert!(fetcher.check("http://10.9.0.1/").is_err(), "what is forbidden is never allowed");
    let hosts = |allowed: &[&str], denied: &[&str]| {
        let own = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
        Fetcher::new(FetchRules {
            allowed_hosts: own(allowed),
            denied_hosts: own(denied),
            ..rules(&[80], &[])
        })
    };
    hosts(&["mirror.example"], &[]).check("http://Mirror.Example./x").unwrap();
    assert!(hosts(&["mirror.example"], &[]).check("http://other.example/").is_err());
    assert!(hosts(&[], &["other.example"]).check("http://other.example/").is_err());
}
