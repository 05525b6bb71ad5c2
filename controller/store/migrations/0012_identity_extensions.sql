-- Which endpoints the catalog of a project shows: those that are tied to it, and those that the groups tied to it take
-- in. A project to which nothing is tied shows all.
CREATE TABLE project_endpoints (
    project_id VARCHAR(64) NOT NULL,
    endpoint_id VARCHAR(64) NOT NULL,
    PRIMARY KEY (project_id, endpoint_id),
    FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE,
    FOREIGN KEY (endpoint_id) REFERENCES endpoints (id) ON DELETE CASCADE
);

-- filters is a JSON object: attributes of endpoints and the values that they must have.
CREATE TABLE endpoint_groups (
    id VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL,
    description LONGTEXT,
    filters LONGTEXT NOT NULL,
    PRIMARY KEY (id)
);

CREATE TABLE project_endpoint_groups (
    project_id VARCHAR(64) NOT NULL,
    endpoint_group_id VARCHAR(64) NOT NULL,
    PRIMARY KEY (project_id, endpoint_group_id),
    FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE,
    FOREIGN KEY (endpoint_group_id) REFERENCES endpoint_groups (id) ON DELETE CASCADE
);

-- Which policy document is for which endpoints: one, those of a service, or those of a service in a region. place is the
-- same said in one text, since a place has one document.
CREATE TABLE policy_associations (
    place VARCHAR(384) NOT NULL,
    policy_id VARCHAR(64) NOT NULL,
    endpoint_id VARCHAR(64),
    service_id VARCHAR(64),
    region_id VARCHAR(255),
    PRIMARY KEY (place),
    FOREIGN KEY (policy_id) REFERENCES policy_blobs (id) ON DELETE CASCADE,
    FOREIGN KEY (endpoint_id) REFERENCES endpoints (id) ON DELETE CASCADE,
    FOREIGN KEY (service_id) REFERENCES services (id) ON DELETE CASCADE,
    FOREIGN KEY (region_id) REFERENCES regions (id) ON DELETE CASCADE
);

-- Options of single domains. content is JSON, sealed with the credential keys where the option is a secret.
CREATE TABLE domain_options (
    domain_id VARCHAR(64) NOT NULL,
    group_name VARCHAR(64) NOT NULL,
    option_name VARCHAR(64) NOT NULL,
    content LONGTEXT NOT NULL,
    sealed BOOLEAN NOT NULL,
    PRIMARY KEY (domain_id, group_name, option_name),
    FOREIGN KEY (domain_id) REFERENCES domains (id) ON DELETE CASCADE
);
