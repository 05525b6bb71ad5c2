-- Domains, projects, users and what they may do. Times are microseconds since the epoch; booleans are 0 or 1;
-- name_key is the name in lower case, because Keystone's names are unique without regard to case.

CREATE TABLE domains (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    tokens_valid_after BIGINT NOT NULL
);

CREATE TABLE projects (
    id TEXT PRIMARY KEY,
    domain_id TEXT NOT NULL REFERENCES domains (id),
    parent_id TEXT NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    description TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    tags TEXT NOT NULL,
    tokens_valid_after BIGINT NOT NULL,
    UNIQUE (domain_id, name_key)
);
CREATE INDEX projects_parent ON projects (parent_id);

CREATE TABLE users (
    id TEXT PRIMARY KEY,
    domain_id TEXT NOT NULL REFERENCES domains (id),
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    description TEXT,
    email TEXT,
    default_project_id TEXT,
    enabled INTEGER NOT NULL,
    password_hash TEXT,
    tokens_valid_after BIGINT NOT NULL,
    UNIQUE (domain_id, name_key)
);

-- "group" is a word of SQL.
CREATE TABLE user_groups (
    id TEXT PRIMARY KEY,
    domain_id TEXT NOT NULL REFERENCES domains (id),
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    description TEXT NOT NULL,
    UNIQUE (domain_id, name_key)
);

CREATE TABLE group_members (
    group_id TEXT NOT NULL REFERENCES user_groups (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (group_id, user_id)
);
CREATE INDEX group_members_user ON group_members (user_id);

-- domain_key is the domain's id, or '' for a role of the whole cloud: NULLs would not be unique.
CREATE TABLE roles (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    domain_id TEXT REFERENCES domains (id),
    domain_key TEXT NOT NULL,
    description TEXT,
    UNIQUE (domain_key, name_key)
);

CREATE TABLE implied_roles (
    prior_role_id TEXT NOT NULL REFERENCES roles (id) ON DELETE CASCADE,
    implied_role_id TEXT NOT NULL REFERENCES roles (id) ON DELETE CASCADE,
    PRIMARY KEY (prior_role_id, implied_role_id)
);

-- actor_kind is 'user' or 'group', target_kind is 'project' or 'domain'.
CREATE TABLE role_assignments (
    actor_kind TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    target_kind TEXT NOT NULL,
    target_id TEXT NOT NULL,
    role_id TEXT NOT NULL REFERENCES roles (id) ON DELETE CASCADE,
    PRIMARY KEY (actor_kind, actor_id, target_kind, target_id, role_id)
);
CREATE INDEX role_assignments_target ON role_assignments (target_kind, target_id);

CREATE TABLE regions (
    id TEXT PRIMARY KEY,
    description TEXT NOT NULL,
    parent_region_id TEXT REFERENCES regions (id)
);

CREATE TABLE services (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    enabled INTEGER NOT NULL
);

CREATE TABLE endpoints (
    id TEXT PRIMARY KEY,
    service_id TEXT NOT NULL REFERENCES services (id) ON DELETE CASCADE,
    interface TEXT NOT NULL,
    region_id TEXT REFERENCES regions (id),
    url TEXT NOT NULL,
    enabled INTEGER NOT NULL
);

-- Tokens revoked one by one. A row may go once the token would have expired anyway.
CREATE TABLE revoked_tokens (
    audit_id TEXT PRIMARY KEY,
    expires_at BIGINT NOT NULL
);

-- A user lost a role on a scope: tokens for that scope issued until then are dead.
CREATE TABLE revoked_scopes (
    user_id TEXT NOT NULL,
    scope_id TEXT NOT NULL,
    issued_until BIGINT NOT NULL,
    PRIMARY KEY (user_id, scope_id)
);
