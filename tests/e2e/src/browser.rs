//! A real Chromium without a window, driven by its DevTools protocol
//! (<https://chromedevtools.github.io/devtools-protocol/>).

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Message, WebSocket, client};

use crate::wait::{PROCESS, until};

/// A running browser; ended with its profile when dropped.
pub struct Browser {
    process: Child,
    profile: PathBuf,
    /// Host and port of the protocol.
    authority: String,
    commands: Commands,
}

/// One tab.
pub struct Page {
    commands: Commands,
}

impl Browser {
    /// `name` sets its profile apart from others'.
    pub fn start(name: &str) -> Self {
        let profile = std::env::temp_dir().join(format!("updraft-browser-{name}"));
        let _ = fs::remove_dir_all(&profile);
        fs::create_dir_all(&profile).expect("the temporary folder is writable");
        let log = fs::File::create(profile.join("log")).expect("the profile's folder is writable");
        let process = Command::new("chromium")
            // Its own sandbox needs rights that root in a container may lack. The page is ours.
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--no-first-run", "--no-proxy-server", "--window-size=1024,768"])
            .args(["--remote-debugging-port=0", "--remote-allow-origins=*"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("chromium is installed (make setup)");
        // Written when it listens: the port, and the path of the browser's own socket.
        let (port, path) = until("the browser listens", PROCESS, || {
            let text = fs::read_to_string(profile.join("DevToolsActivePort")).ok()?;
            let (port, path) = text.split_once('\n')?;
            Some((port.to_owned(), path.trim().to_owned()))
        });
        let authority = format!("127.0.0.1:{port}");
        let commands = Commands::connect(&authority, &path);
        Self { process, profile, authority, commands }
    }

    /// Opens a tab.
    pub fn open(&mut self, url: &str) -> Page {
        let target = self.commands.call("Target.createTarget", json!({"url": url}));
        let id = target["targetId"].as_str().expect("a target has an id");
        Page { commands: Commands::connect(&self.authority, &format!("/devtools/page/{id}")) }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- browser\n{}", fs::read_to_string(self.profile.join("log")).unwrap_or_default());
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
        // Its helpers end when it does, and may still write.
        for _ in 0..50 {
            if fs::remove_dir_all(&self.profile).is_ok() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }
}

impl Page {
    /// The value of a JavaScript expression; of a promise, what it comes to.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let answer = self.commands.call(
            "Runtime.evaluate",
            json!({"expression": expression, "returnByValue": true, "awaitPromise": true}),
        );
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Presses and releases the keys of `text`: lower-case letters, digits, spaces and newlines.
    pub fn type_text(&mut self, text: &str) {
        for letter in text.chars() {
            let (key, code, number) = match letter {
                '\n' => ("Enter".to_owned(), "Enter".to_owned(), 13),
                ' ' => (" ".to_owned(), "Space".to_owned(), 32),
                '0'..='9' => (letter.to_string(), format!("Digit{letter}"), letter as u32),
                _ => {
                    let upper = letter.to_ascii_uppercase();
                    (letter.to_string(), format!("Key{upper}"), upper as u32)
                }
            };
            for kind in ["keyDown", "keyUp"] {
                let event = json!({"type": kind, "key": key, "code": code, "windowsVirtualKeyCode": number});
                self.commands.call("Input.dispatchKeyEvent", event);
            }
        }
    }
}

/// One connection of the protocol.
struct Commands {
    socket: WebSocket<TcpStream>,
    last_id: u64,
}

impl Commands {
    fn connect(authority: &str, path: &str) -> Self {
        let stream = TcpStream::connect(authority).expect("the browser listens");
        stream.set_read_timeout(Some(PROCESS)).expect("a socket has a time limit");
        let (socket, _) =
            client(format!("ws://{authority}{path}"), stream).expect("the browser speaks WebSocket");
        Self { socket, last_id: 0 }
    }

    /// Events that come meanwhile are passed over.
    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last_id += 1;
        let request = json!({"id": self.last_id, "method": method, "params": parameters});
        self.socket.send(Message::text(request.to_string())).expect("the browser listens");
        loop {
            let Message::Text(text) = self.socket.read().expect("the browser answers") else { continue };
            let message: Value = serde_json::from_str(&text).expect("the browser speaks JSON");
            if message["id"] == self.last_id {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].clone();
            }
        }
    }
}
