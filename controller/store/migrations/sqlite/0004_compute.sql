-- Hosts, servers and the tasks that bring the one to the other. Times are microseconds since the epoch; booleans are
-- 0 or 1; JSON is text. `revision` grows with every write of a row: a write on top of another's finds no row.

CREATE TABLE flavors (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    vcpus INTEGER NOT NULL,
    memory_mib BIGINT NOT NULL,
    disk_gib BIGINT NOT NULL,
    ephemeral_gib BIGINT NOT NULL,
    swap_mib BIGINT NOT NULL,
    rxtx_factor DOUBLE NOT NULL,
    is_public INTEGER NOT NULL,
    disabled INTEGER NOT NULL,
    description TEXT,
    extra_specs TEXT NOT NULL
);

-- Projects that may use a flavor that is not public.
CREATE TABLE flavor_access (
    flavor_id TEXT NOT NULL REFERENCES flavors (id) ON DELETE CASCADE,
    project_id TEXT NOT NULL,
    PRIMARY KEY (flavor_id, project_id)
);

CREATE TABLE keypairs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id TEXT NOT NULL,
    name TEXT NOT NULL,
    public_key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (user_id, name)
);

-- Limits that differ from the defaults.
CREATE TABLE compute_quotas (
    project_id TEXT NOT NULL,
    resource TEXT NOT NULL,
    hard_limit BIGINT NOT NULL,
    PRIMARY KEY (project_id, resource)
);

CREATE TABLE hosts (
    id TEXT PRIMARY KEY,
    hostname TEXT NOT NULL,
    agent_url TEXT NOT NULL,
    vcpus BIGINT NOT NULL,
    memory_mib BIGINT NOT NULL,
    disk_gib BIGINT NOT NULL,
    disk_free_gib BIGINT NOT NULL,
    claimed_vcpus BIGINT NOT NULL,
    claimed_memory_mib BIGINT NOT NULL,
    claimed_disk_gib BIGINT NOT NULL,
    plan_generation BIGINT NOT NULL,
    seen_generation BIGINT NOT NULL,
    disabled INTEGER NOT NULL,
    disabled_reason TEXT,
    forced_down INTEGER NOT NULL,
    last_seen_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    observed TEXT NOT NULL
);

-- What a host proves itself with; the host is known from its first report on.
CREATE TABLE host_credentials (
    token_sha256 TEXT PRIMARY KEY,
    host_id TEXT REFERENCES hosts (id),
    created_at BIGINT NOT NULL
);

CREATE TABLE servers (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    name TEXT NOT NULL,
    image_id TEXT NOT NULL,
    flavor_id TEXT NOT NULL,
    vcpus BIGINT NOT NULL,
    memory_mib BIGINT NOT NULL,
    spec TEXT NOT NULL,
    vm_state TEXT NOT NULL,
    task_state TEXT,
    power_state INTEGER NOT NULL,
    fault TEXT,
    locked TEXT,
    host_id TEXT REFERENCES hosts (id),
    planned INTEGER NOT NULL,
    power_on INTEGER NOT NULL,
    epoch BIGINT NOT NULL,
    soft_reboot_epoch BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    launched_at BIGINT,
    deleted_at BIGINT,
    revision BIGINT NOT NULL
);
CREATE INDEX servers_project ON servers (project_id, deleted_at);
CREATE INDEX servers_host ON servers (host_id);

CREATE TABLE tasks (
    id TEXT PRIMARY KEY,
    server_id TEXT NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    project_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    request_id TEXT NOT NULL,
    program TEXT NOT NULL,
    step TEXT NOT NULL,
    status TEXT NOT NULL,
    plan_generation BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    run_at BIGINT NOT NULL,
    deadline BIGINT NOT NULL,
    lease_owner TEXT,
    lease_until BIGINT NOT NULL,
    message TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX tasks_due ON tasks (status, run_at);
CREATE INDEX tasks_server ON tasks (server_id, created_at);

-- The journal of a task: one row a step.
CREATE TABLE task_events (
    task_id TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    step TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    finished_at BIGINT,
    succeeded INTEGER,
    message TEXT,
    host_id TEXT,
    PRIMARY KEY (task_id, step)
);

-- One-time tickets to a server's console.
CREATE TABLE console_tickets (
    token_sha256 TEXT PRIMARY KEY,
    server_id TEXT NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
