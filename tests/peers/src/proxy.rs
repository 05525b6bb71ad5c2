use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Where a connection is cut.
#[derive(Clone, Debug)]
pub enum Cut {
    /// What holds these bytes never reaches the server.
    Before(Vec<u8>),
    /// What holds these bytes reaches the server, its answer never reaches the client.
    After(Vec<u8>),
    /// After so many more bytes from clients, all connections together.
    AfterBytes(usize),
}

/// A TCP proxy on loopback that cuts connections when it is told to: once for each [`Proxy::cut`].
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    plan: Arc<Mutex<Option<Cut>>>,
    watch: Arc<Mutex<Watch>>,
}

/// What is done when a text passes. It runs while the piece that holds the text waits.
pub type Action = Box<dyn FnOnce() + Send>;

/// A text that is counted on its way to the server.
#[derive(Default)]
struct Watch {
    text: Vec<u8>,
    /// How often it passed since [`Proxy::watch`].
    passed: usize,
    due: Option<Due>,
}

struct Due {
    /// At the passage of this number, the first being 0.
    number: usize,
    side: Side,
    action: Action,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let is_due = self.due.is_some();
        formatter.debug_struct("Watch").field("passed", &self.passed).field("is_due", &is_due).finish()
    }
}

/// Whether something happens before the server has seen a text, or after it was sent there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Before,
    After,
}

/// Enough for any statement that tests look for to arrive in one piece.
const BUFFER_BYTES: usize = 256 * 1024;

enum Verdict {
    Pass,
    /// Forward this many bytes, then cut.
    CutAfter(usize),
}

impl Proxy {
    /// Forwards to the server at this port on loopback. Ends with the process.
    pub fn start(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (plan, watch) = (Arc::default(), Arc::default());
        let rules = Rules { plan: Arc::clone(&plan), watch: Arc::clone(&watch) };
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let rules = rules.clone();
                thread::spawn(move || serve(&client, port, &rules));
            }
        });
        Self { address, plan, watch }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Counts how often a text passes from now on.
    pub fn watch(&self, text: &[u8]) {
        *self.watch.lock().unwrap() = Watch { text: text.to_vec(), ..Watch::default() };
    }

    /// How often the text has passed.
    pub fn passed(&self) -> usize {
        self.watch.lock().unwrap().passed
    }

    /// Does something once, at the passage of this number of the text.
    pub fn at(&self, number: usize, side: Side, action: Action) {
        self.watch.lock().unwrap().due = Some(Due { number, side, action });
    }

    /// Does nothing any more; whether something was still to be done.
    pub fn disarm(&self) -> bool {
        self.watch.lock().unwrap().due.take().is_some()
    }

    /// Cuts one connection there; others pass.
    pub fn cut(&self, cut: Cut) {
        *self.plan.lock().unwrap() = Some(cut);
    }

    /// Cuts nothing any more.
    pub fn pass(&self) {
        *self.plan.lock().unwrap() = None;
    }

    /// Whether the cut that was asked for last is still to come.
    pub fn is_armed(&self) -> bool {
        self.plan.lock().unwrap().is_some()
    }
}

#[derive(Clone)]
struct Rules {
    plan: Arc<Mutex<Option<Cut>>>,
    watch: Arc<Mutex<Watch>>,
}

impl Rules {
    /// Counts the text in a piece; what is to be done for it, and when.
    fn note(&self, bytes: &[u8]) -> Option<(Side, Action)> {
        let mut watch = self.watch.lock().unwrap();
        if !holds(bytes, &watch.text) {
            return None;
        }
        let number = watch.passed;
        watch.passed += 1;
        let due = watch.due.take_if(|due| due.number <= number)?;
        Some((due.side, due.action))
    }
}

fn holds(bytes: &[u8], text: &[u8]) -> bool {
    !text.is_empty() && bytes.windows(text.len()).any(|window| window == text)
}

/// One connection. A server that is not there is a connection that ends at once.
fn serve(client: &TcpStream, port: u16, rules: &Rules) {
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return };
    let _nodelay = (client.set_nodelay(true), server.set_nodelay(true));
    thread::scope(|scope| {
        scope.spawn(|| {
            let _ended = std::io::copy(&mut &server, &mut &*client);
            let _closed = client.shutdown(Shutdown::Both);
        });
        forward(client, &server, rules);
        let _closed = server.shutdown(Shutdown::Both);
    });
}

/// From the client to the server, until either ends or the plan says so.
fn forward(mut client: &TcpStream, mut server: &TcpStream, rules: &Rules) {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let Ok(read @ 1..) = client.read(&mut buffer) else { return };
        match judge(&buffer[..read], &rules.plan) {
            Verdict::Pass => {
                let (before, after) = match rules.note(&buffer[..read]) {
                    Some((Side::Before, action)) => (Some(action), None),
                    Some((Side::After, action)) => (None, Some(action)),
                    None => (None, None),
                };
                before.into_iter().for_each(|action| action());
                let sent = server.write_all(&buffer[..read]);
                after.into_iter().for_each(|action| action());
                if sent.is_err() {
                    return;
                }
            }
            Verdict::CutAfter(passed) => {
                // First the client loses its connection, so that no answer gets through; then the server gets the rest
                // and finds that nobody listens.
                let _cut = client.shutdown(Shutdown::Both);
                let _sent = server.write_all(&buffer[..passed]);
                return;
            }
        }
    }
}

fn judge(bytes: &[u8], plan: &Mutex<Option<Cut>>) -> Verdict {
    let mut plan = plan.lock().unwrap();
    let verdict = match plan.as_mut() {
        Some(Cut::Before(text)) if holds(bytes, text) => Verdict::CutAfter(0),
        Some(Cut::After(text)) if holds(bytes, text) => Verdict::CutAfter(bytes.len()),
        Some(Cut::AfterBytes(left)) if *left <= bytes.len() => Verdict::CutAfter(*left),
        Some(Cut::AfterBytes(left)) => {
            *left -= bytes.len();
            Verdict::Pass
        }
        _ => Verdict::Pass,
    };
    if matches!(verdict, Verdict::CutAfter(_)) {
        *plan = None;
    }
    verdict
}
