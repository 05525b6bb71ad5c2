-- Who did what: rows are added and, when they are old enough, deleted. Nothing ever updates them.

CREATE TABLE audit_events (
    id VARCHAR(64) NOT NULL,
    event_time BIGINT NOT NULL,
    request_id VARCHAR(64) NOT NULL,
    initiator_id VARCHAR(64),
    project_id VARCHAR(64),
    succeeded BOOLEAN NOT NULL,
    document LONGTEXT NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX audit_events_time ON audit_events (event_time);
CREATE INDEX audit_events_request ON audit_events (request_id);
CREATE INDEX audit_events_project ON audit_events (project_id, event_time);

-- The ids that an event's request named or made.
CREATE TABLE audit_subjects (
    subject_id VARCHAR(64) NOT NULL,
    event_id VARCHAR(64) NOT NULL,
    event_time BIGINT NOT NULL,
    PRIMARY KEY (subject_id, event_id)
);
CREATE INDEX audit_subjects_time ON audit_subjects (event_time);

CREATE INDEX tasks_request ON tasks (request_id);
CREATE INDEX tasks_updated ON tasks (updated_at);

-- Hosts that may come for a credential, once, each with a secret that its operator carries there.
CREATE TABLE host_enrolments (
    name VARCHAR(255) NOT NULL,
    secret_sha256 VARCHAR(64) NOT NULL,
    ends_at BIGINT NOT NULL,
    PRIMARY KEY (name)
);
