-- What people and programs authenticate with, beside passwords. Times are microseconds since the epoch.

CREATE TABLE application_credentials (
    id VARCHAR(64) NOT NULL,
    user_id VARCHAR(64) NOT NULL,
    project_id VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL,
    description LONGTEXT,
    secret_hash VARCHAR(255) NOT NULL,
    expires_at BIGINT,
    unrestricted BOOLEAN NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (user_id, name),
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE
);
CREATE INDEX application_credentials_project ON application_credentials (project_id);

CREATE TABLE application_credential_roles (
    application_credential_id VARCHAR(64) NOT NULL,
    role_id VARCHAR(64) NOT NULL,
    PRIMARY KEY (application_credential_id, role_id),
    FOREIGN KEY (application_credential_id) REFERENCES application_credentials (id) ON DELETE CASCADE,
    FOREIGN KEY (role_id) REFERENCES roles (id) ON DELETE CASCADE
);

CREATE TABLE access_rules (
    id VARCHAR(64) NOT NULL,
    user_id VARCHAR(64) NOT NULL,
    service VARCHAR(64) NOT NULL,
    method VARCHAR(16) NOT NULL,
    path VARCHAR(255) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (user_id, service, method, path),
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

-- No cascade from the rule: one that is in use stays.
CREATE TABLE application_credential_rules (
    application_credential_id VARCHAR(64) NOT NULL,
    access_rule_id VARCHAR(64) NOT NULL,
    PRIMARY KEY (application_credential_id, access_rule_id),
    FOREIGN KEY (application_credential_id) REFERENCES application_credentials (id) ON DELETE CASCADE,
    FOREIGN KEY (access_rule_id) REFERENCES access_rules (id)
);

-- sealed_blob is encrypted with the keys of the credential key repository.
CREATE TABLE credentials (
    id VARCHAR(64) NOT NULL,
    user_id VARCHAR(64) NOT NULL,
    project_id VARCHAR(64),
    kind VARCHAR(255) NOT NULL,
    sealed_blob LONGTEXT NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE
);
CREATE INDEX credentials_user ON credentials (user_id);
CREATE INDEX credentials_project ON credentials (project_id);

-- One-time passwords that were used: each counts once.
CREATE TABLE totp_uses (
    credential_id VARCHAR(64) NOT NULL,
    time_step BIGINT NOT NULL,
    PRIMARY KEY (credential_id, time_step),
    FOREIGN KEY (credential_id) REFERENCES credentials (id) ON DELETE CASCADE
);

CREATE TABLE trusts (
    id VARCHAR(64) NOT NULL,
    trustor_user_id VARCHAR(64) NOT NULL,
    trustee_user_id VARCHAR(64) NOT NULL,
    project_id VARCHAR(64),
    impersonation BOOLEAN NOT NULL,
    expires_at BIGINT,
    remaining_uses BIGINT,
    redelegation_count BIGINT NOT NULL,
    redelegated_trust_id VARCHAR(64),
    PRIMARY KEY (id),
    FOREIGN KEY (trustor_user_id) REFERENCES users (id) ON DELETE CASCADE,
    FOREIGN KEY (trustee_user_id) REFERENCES users (id) ON DELETE CASCADE,
    FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE
);
CREATE INDEX trusts_trustor ON trusts (trustor_user_id);
CREATE INDEX trusts_trustee ON trusts (trustee_user_id);
CREATE INDEX trusts_redelegated ON trusts (redelegated_trust_id);

CREATE TABLE trust_roles (
    trust_id VARCHAR(64) NOT NULL,
    role_id VARCHAR(64) NOT NULL,
    PRIMARY KEY (trust_id, role_id),
    FOREIGN KEY (trust_id) REFERENCES trusts (id) ON DELETE CASCADE,
    FOREIGN KEY (role_id) REFERENCES roles (id) ON DELETE CASCADE
);

CREATE TABLE identity_providers (
    id VARCHAR(64) NOT NULL,
    domain_id VARCHAR(64) NOT NULL,
    enabled BOOLEAN NOT NULL,
    description LONGTEXT,
    authorization_ttl BIGINT,
    PRIMARY KEY (id),
    FOREIGN KEY (domain_id) REFERENCES domains (id)
);

CREATE TABLE idp_remote_ids (
    remote_id VARCHAR(255) NOT NULL,
    idp_id VARCHAR(64) NOT NULL,
    PRIMARY KEY (remote_id),
    FOREIGN KEY (idp_id) REFERENCES identity_providers (id) ON DELETE CASCADE
);

CREATE TABLE federation_mappings (
    id VARCHAR(64) NOT NULL,
    schema_version VARCHAR(16) NOT NULL,
    rules LONGTEXT NOT NULL,
    PRIMARY KEY (id)
);

CREATE TABLE federation_protocols (
    id VARCHAR(64) NOT NULL,
    idp_id VARCHAR(64) NOT NULL,
    mapping_id VARCHAR(64) NOT NULL,
    remote_id_attribute VARCHAR(64),
    PRIMARY KEY (id, idp_id),
    FOREIGN KEY (idp_id) REFERENCES identity_providers (id) ON DELETE CASCADE
);

CREATE TABLE service_providers (
    id VARCHAR(64) NOT NULL,
    auth_url VARCHAR(255) NOT NULL,
    sp_url VARCHAR(255) NOT NULL,
    description LONGTEXT,
    enabled BOOLEAN NOT NULL,
    relay_state_prefix VARCHAR(255) NOT NULL,
    PRIMARY KEY (id)
);

-- Whom an identity provider's name stands for here. unique_key is the SHA-256 of that name.
CREATE TABLE federated_users (
    idp_id VARCHAR(64) NOT NULL,
    protocol_id VARCHAR(64) NOT NULL,
    unique_key VARCHAR(64) NOT NULL,
    user_id VARCHAR(64) NOT NULL,
    PRIMARY KEY (idp_id, protocol_id, unique_key),
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    FOREIGN KEY (idp_id) REFERENCES identity_providers (id) ON DELETE CASCADE
);
CREATE INDEX federated_users_user ON federated_users (user_id);
