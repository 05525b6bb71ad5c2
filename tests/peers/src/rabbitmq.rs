use std::fs;
use std::process::Command;
use std::sync::{Mutex, MutexGuard};

use nix::sys::signal::Signal;

use crate::scratch::Scratch;
use crate::server::{Server, free_ports, loopback};

/// A RabbitMQ broker of one's own, with Erlang's port mapper (epmd) of its own. Its user is `guest`.
#[derive(Debug)]
pub struct RabbitMq {
    // In this order they go: broker, mapper, folder.
    server: Mutex<Server>,
    _mapper: Server,
    scratch: Scratch,
    ports: Ports,
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    amqp: u16,
    distribution: u16,
    mapper: u16,
}

/// The wrapper in the path changes the user; this is what it starts.
const PROGRAM: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
/// The first bytes of a client (AMQP 0-9-1, section 4.2.2).
const PROTOCOL_HEADER: &[u8] = b"AMQP\x00\x00\x09\x01";
const CONFIGURATION: &str = "disk_free_limit.absolute = 1MB\n\
                             vm_memory_high_watermark.absolute = 512MB\n\
                             vm_memory_calculation_strategy = allocated\n";

impl RabbitMq {
    /// Starts a broker and waits until it answers.
    pub fn start() -> Self {
        let scratch = Scratch::new("rabbitmq");
        let [amqp, distribution, mapper] = free_ports();
        let ports = Ports { amqp, distribution, mapper };
        fs::write(scratch.join("rabbitmq.conf"), CONFIGURATION).unwrap();
        fs::write(scratch.join("enabled_plugins"), "[].\n").unwrap();
        let mut mapper = Server::new("epmd", scratch.join("epmd.log"), scratch.join("epmd.pid"));
        let mut command = Command::new("epmd");
        command.args(["-address", "127.0.0.1", "-port", &ports.mapper.to_string()]);
        mapper.spawn(command);
        let server = Server::new("rabbitmq", scratch.join("server.log"), scratch.join("rabbitmq.pid"));
        let started = Self { server: Mutex::new(server), _mapper: mapper, scratch, ports };
        started.restart();
        started
    }

    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.ports.amqp)
    }

    pub fn port(&self) -> u16 {
        self.ports.amqp
    }

    /// `kill -9`.
    pub fn kill(&self) {
        self.server().end(Signal::SIGKILL);
    }

    /// An orderly end.
    pub fn stop(&self) {
        self.server().end(Signal::SIGTERM);
    }

    /// Starts it again, after [`Self::kill`] or [`Self::stop`], at the same address and with what it kept on the disk;
    /// waits until it answers.
    pub fn restart(&self) {
        let mut command = Command::new(PROGRAM);
        for (variable, file) in [
            ("HOME", ""),
            ("RABBITMQ_MNESIA_BASE", "mnesia"),
            ("RABBITMQ_LOG_BASE", "log"),
            ("RABBITMQ_CONFIG_FILE", "rabbitmq"),
            ("RABBITMQ_CONF_ENV_FILE", "no-rabbitmq-env.conf"),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", "enabled_plugins"),
            ("RABBITMQ_FEATURE_FLAGS_FILE", "feature_flags"),
            ("RABBITMQ_PID_FILE", "beam-pid"),
        ] {
            command.env(variable, self.scratch.join(file));
        }
        command
            .env("RABBITMQ_NODENAME", format!("updraft-{}@localhost", self.ports.amqp))
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", self.ports.amqp.to_string())
            .env("RABBITMQ_DIST_PORT", self.ports.distribution.to_string())
            .env("ERL_EPMD_PORT", self.ports.mapper.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_LOGS", "-")
            // Makes the script become the broker instead of waiting for it.
            .env("RABBITMQ_ALLOW_INPUT", "yes")
            .arg("-noinput")
            // One scheduler that does not spin while it waits.
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none")
            .current_dir(self.scratch.path());
        let mut server = self.server();
        server.spawn(command);
        server.wait_until_it_greets(loopback(self.ports.amqp), PROTOCOL_HEADER);
    }

    /// Stands still, with its connections open, until [`Self::go_on`].
    pub fn freeze(&self) {
        self.server().signal(Signal::SIGSTOP);
    }

    pub fn go_on(&self) {
        self.server().signal(Signal::SIGCONT);
    }

    fn server(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap()
    }
}
