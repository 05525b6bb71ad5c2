-- Domains, projects, users and what they may do. Times are microseconds since the epoch; booleans are 0 or 1;
-- name_key is the name in lower case, because Keystone's names are unique without regard to case.

CREATE TABLE domains (
    id VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL,
    name_key VARCHAR(255) NOT NULL,
    description LONGTEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    tokens_valid_after BIGINT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (name_key)
);

CREATE TABLE projects (
    id VARCHAR(64) NOT NULL,
    domain_id VARCHAR(64) NOT NULL,
    parent_id VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL,
    name_key VARCHAR(255) NOT NULL,
    description LONGTEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    tags LONGTEXT NOT NULL,
    tokens_valid_after BIGINT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (domain_id, name_key),
    FOREIGN KEY (domain_id) REFERENCES domains (id)
);
CREATE INDEX projects_parent ON projects (parent_id);

CREATE TABLE users (
    id VARCHAR(64) NOT NULL,
    domain_id VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL,
    name_key VARCHAR(255) NOT NULL,
    description LONGTEXT,
    email VARCHAR(255),
    default_project_id VARCHAR(64),
    enabled BOOLEAN NOT NULL,
    password_hash LONGTEXT,
    tokens_valid_after BIGINT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (domain_id, name_key),
    FOREIGN KEY (domain_id) REFERENCES domains (id)
);

-- "group" is a word of SQL.
CREATE TABLE user_groups (
    id VARCHAR(64) NOT NULL,
    domain_id VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL,
    name_key VARCHAR(255) NOT NULL,
    description LONGTEXT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (domain_id, name_key),
    FOREIGN KEY (domain_id) REFERENCES domains (id)
);

CREATE TABLE group_members (
    group_id VARCHAR(64) NOT NULL,
    user_id VARCHAR(64) NOT NULL,
    PRIMARY KEY (group_id, user_id),
    FOREIGN KEY (group_id) REFERENCES user_groups (id) ON DELETE CASCADE,
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX group_members_user ON group_members (user_id);

-- domain_key is the domain's id, or '' for a role of the whole cloud: NULLs would not be unique.
CREATE TABLE roles (
    id VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL,
    name_key VARCHAR(255) NOT NULL,
    domain_id VARCHAR(64),
    domain_key VARCHAR(64) NOT NULL,
    description LONGTEXT,
    PRIMARY KEY (id),
    UNIQUE (domain_key, name_key),
    FOREIGN KEY (domain_id) REFERENCES domains (id)
);

CREATE TABLE implied_roles (
    prior_role_id VARCHAR(64) NOT NULL,
    implied_role_id VARCHAR(64) NOT NULL,
    PRIMARY KEY (prior_role_id, implied_role_id),
    FOREIGN KEY (prior_role_id) REFERENCES roles (id) ON DELETE CASCADE,
    FOREIGN KEY (implied_role_id) REFERENCES roles (id) ON DELETE CASCADE
);

-- actor_kind is 'user' or 'group'; target_kind is 'project', 'domain' or 'system' (target_id 'system'). An inherited
-- role holds on everything below the target, and not on the target itself, so one may be held both ways.
CREATE TABLE role_assignments (
    actor_kind VARCHAR(64) NOT NULL,
    actor_id VARCHAR(64) NOT NULL,
    target_kind VARCHAR(64) NOT NULL,
    target_id VARCHAR(64) NOT NULL,
    role_id VARCHAR(64) NOT NULL,
    inherited BOOLEAN NOT NULL,
    PRIMARY KEY (actor_kind, actor_id, target_kind, target_id, role_id, inherited),
    FOREIGN KEY (role_id) REFERENCES roles (id) ON DELETE CASCADE
);
CREATE INDEX role_assignments_target ON role_assignments (target_kind, target_id);

CREATE TABLE regions (
    id VARCHAR(255) NOT NULL,
    description LONGTEXT NOT NULL,
    parent_region_id VARCHAR(255),
    PRIMARY KEY (id),
    FOREIGN KEY (parent_region_id) REFERENCES regions (id)
);

CREATE TABLE services (
    id VARCHAR(64) NOT NULL,
    kind VARCHAR(255) NOT NULL,
    name VARCHAR(255) NOT NULL,
    description LONGTEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    PRIMARY KEY (id)
);

CREATE TABLE endpoints (
    id VARCHAR(64) NOT NULL,
    service_id VARCHAR(64) NOT NULL,
    interface VARCHAR(64) NOT NULL,
    region_id VARCHAR(255),
    url LONGTEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY (service_id) REFERENCES services (id) ON DELETE CASCADE,
    FOREIGN KEY (region_id) REFERENCES regions (id)
);

-- Tokens revoked one by one. A row may go once the token would have expired anyway.
CREATE TABLE revoked_tokens (
    audit_id VARCHAR(64) NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (audit_id)
);

-- A user lost a role on a scope: tokens for that scope issued until then are dead.
CREATE TABLE revoked_scopes (
    user_id VARCHAR(64) NOT NULL,
    scope_id VARCHAR(64) NOT NULL,
    issued_until BIGINT NOT NULL,
    PRIMARY KEY (user_id, scope_id)
);
