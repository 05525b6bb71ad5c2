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
        let plan = Arc::new(Mutex::new(None));
        let shared = Arc::clone(&plan);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let plan = Arc::clone(&shared);
                thread::spawn(move || serve(&client, port, &plan));
            }
        });
        Self { address, plan }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
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

/// One connection. A server that is not there is a connection that ends at once.
fn serve(client: &TcpStream, port: u16, plan: &Mutex<Option<Cut>>) {
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return };
    let _nodelay = (client.set_nodelay(true), server.set_nodelay(true));
    thread::scope(|scope| {
        scope.spawn(|| {
            let _ended = std::io::copy(&mut &server, &mut &*client);
            let _closed = client.shutdown(Shutdown::Both);
        });
        forward(client, &server, plan);
        let _closed = server.shutdown(Shutdown::Both);
    });
}

/// From the client to the server, until either ends or the plan says so.
fn forward(mut client: &TcpStream, mut server: &TcpStream, plan: &Mutex<Option<Cut>>) {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let Ok(read @ 1..) = client.read(&mut buffer) else { return };
        match judge(&buffer[..read], plan) {
            Verdict::Pass => {
                if server.write_all(&buffer[..read]).is_err() {
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
    let holds = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    let verdict = match plan.as_mut() {
        Some(Cut::Before(text)) if holds(text) => Verdict::CutAfter(0),
        Some(Cut::After(text)) if holds(text) => Verdict::CutAfter(bytes.len()),
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
