-- Hosts, servers and the tasks that bring the one to the other. Times are microseconds since the epoch; booleans are
-- 0 or 1; JSON is text. `revision` grows with every write of a row: a write on top of another's finds no row.

CREATE TABLE flavors (
    id VARCHAR(255) NOT NULL,
    name VARCHAR(255) NOT NULL,
    vcpus BIGINT NOT NULL,
    memory_mib BIGINT NOT NULL,
    disk_gib BIGINT NOT NULL,
    ephemeral_gib BIGINT NOT NULL,
    swap_mib BIGINT NOT NULL,
    rxtx_factor DOUBLE NOT NULL,
    is_public BOOLEAN NOT NULL,
    disabled BOOLEAN NOT NULL,
    description LONGTEXT,
    extra_specs LONGTEXT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (name)
);

-- Projects that may use a flavor that is not public.
CREATE TABLE flavor_access (
    flavor_id VARCHAR(255) NOT NULL,
    project_id VARCHAR(64) NOT NULL,
    PRIMARY KEY (flavor_id, project_id),
    FOREIGN KEY (flavor_id) REFERENCES flavors (id) ON DELETE CASCADE
);

-- Numbers that are given out once each.
CREATE TABLE sequences (
    name VARCHAR(64) NOT NULL,
    latest BIGINT NOT NULL,
    PRIMARY KEY (name)
);

CREATE TABLE keypairs (
    id BIGINT NOT NULL,
    user_id VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL,
    public_key LONGTEXT NOT NULL,
    fingerprint VARCHAR(255) NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (user_id, name)
);

-- Limits that differ from the defaults.
CREATE TABLE compute_quotas (
    project_id VARCHAR(64) NOT NULL,
    resource VARCHAR(255) NOT NULL,
    hard_limit BIGINT NOT NULL,
    PRIMARY KEY (project_id, resource)
);

CREATE TABLE hosts (
    id VARCHAR(64) NOT NULL,
    hostname VARCHAR(255) NOT NULL,
    agent_url LONGTEXT NOT NULL,
    vcpus BIGINT NOT NULL,
    memory_mib BIGINT NOT NULL,
    disk_gib BIGINT NOT NULL,
    disk_free_gib BIGINT NOT NULL,
    claimed_vcpus BIGINT NOT NULL,
    claimed_memory_mib BIGINT NOT NULL,
    claimed_disk_gib BIGINT NOT NULL,
    plan_generation BIGINT NOT NULL,
    seen_generation BIGINT NOT NULL,
    disabled BOOLEAN NOT NULL,
    disabled_reason LONGTEXT,
    forced_down BOOLEAN NOT NULL,
    last_seen_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    observed LONGTEXT NOT NULL,
    PRIMARY KEY (id)
);

-- What a host proves itself with; the host is known from its first report on.
CREATE TABLE host_credentials (
    token_sha256 VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL,
    host_id VARCHAR(64),
    created_at BIGINT NOT NULL,
    ends_at BIGINT,
    PRIMARY KEY (token_sha256),
    FOREIGN KEY (host_id) REFERENCES hosts (id)
);

CREATE TABLE servers (
    id VARCHAR(64) NOT NULL,
    project_id VARCHAR(64) NOT NULL,
    user_id VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL,
    image_id VARCHAR(64) NOT NULL,
    flavor_id VARCHAR(255) NOT NULL,
    vcpus BIGINT NOT NULL,
    memory_mib BIGINT NOT NULL,
    spec LONGTEXT NOT NULL,
    vm_state VARCHAR(64) NOT NULL,
    task_state VARCHAR(64),
    power_state BIGINT NOT NULL,
    fault LONGTEXT,
    locked LONGTEXT,
    host_id VARCHAR(64),
    planned BOOLEAN NOT NULL,
    power_on BOOLEAN NOT NULL,
    epoch BIGINT NOT NULL,
    soft_reboot_epoch BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    launched_at BIGINT,
    deleted_at BIGINT,
    revision BIGINT NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY (host_id) REFERENCES hosts (id)
);
CREATE INDEX servers_project ON servers (project_id, deleted_at);
CREATE INDEX servers_host ON servers (host_id);

CREATE TABLE tasks (
    id VARCHAR(64) NOT NULL,
    server_id VARCHAR(64) NOT NULL,
    project_id VARCHAR(64) NOT NULL,
    user_id VARCHAR(64) NOT NULL,
    request_id VARCHAR(255) NOT NULL,
    program VARCHAR(64) NOT NULL,
    step VARCHAR(64) NOT NULL,
    status VARCHAR(64) NOT NULL,
    plan_generation BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    run_at BIGINT NOT NULL,
    deadline BIGINT NOT NULL,
    lease_owner VARCHAR(255),
    lease_until BIGINT NOT NULL,
    message LONGTEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY (server_id) REFERENCES servers (id) ON DELETE CASCADE
);
CREATE INDEX tasks_due ON tasks (status, run_at);
CREATE INDEX tasks_server ON tasks (server_id, created_at);

-- The journal of a task: one row a step.
CREATE TABLE task_events (
    task_id VARCHAR(64) NOT NULL,
    step VARCHAR(64) NOT NULL,
    started_at BIGINT NOT NULL,
    finished_at BIGINT,
    succeeded BOOLEAN,
    message LONGTEXT,
    cause LONGTEXT,
    host_id VARCHAR(64),
    PRIMARY KEY (task_id, step),
    FOREIGN KEY (task_id) REFERENCES tasks (id) ON DELETE CASCADE
);

-- One-time tickets to a server's console.
CREATE TABLE console_tickets (
    token_sha256 VARCHAR(64) NOT NULL,
    server_id VARCHAR(64) NOT NULL,
    kind VARCHAR(64) NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (token_sha256),
    FOREIGN KEY (server_id) REFERENCES servers (id) ON DELETE CASCADE
);
