-- Every file that the image service has on its disk, from before it is made until after it is gone: data arriving,
-- staged, an image's own, or doomed. holder and held_until say who writes it, while it arrives.
CREATE TABLE image_files (
    name VARCHAR(255) NOT NULL,
    image_id VARCHAR(64) NOT NULL,
    role VARCHAR(32) NOT NULL,
    holder VARCHAR(64) NOT NULL,
    held_until BIGINT NOT NULL,
    size_bytes BIGINT,
    md5 VARCHAR(64),
    sha512 VARCHAR(255),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (name)
);
CREATE INDEX image_files_image ON image_files (image_id);
CREATE INDEX image_files_role ON image_files (role);

-- Imports and their outcome. input and result are JSON objects.
CREATE TABLE image_tasks (
    id VARCHAR(64) NOT NULL,
    kind VARCHAR(64) NOT NULL,
    image_id VARCHAR(64),
    project_id VARCHAR(64) NOT NULL,
    user_id VARCHAR(64) NOT NULL,
    request_id VARCHAR(64) NOT NULL,
    status VARCHAR(32) NOT NULL,
    step VARCHAR(32) NOT NULL,
    input LONGTEXT NOT NULL,
    result LONGTEXT,
    message LONGTEXT,
    attempts BIGINT NOT NULL,
    run_at BIGINT NOT NULL,
    lease_owner VARCHAR(64),
    lease_until BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    expires_at BIGINT,
    PRIMARY KEY (id)
);
CREATE INDEX image_tasks_image ON image_tasks (image_id);
CREATE INDEX image_tasks_due ON image_tasks (status, run_at);

-- Metadata definitions: namespaces, and what is defined in them. body is a JSON object.
CREATE TABLE metadef_namespaces (
    namespace VARCHAR(255) NOT NULL,
    owner VARCHAR(255) NOT NULL,
    visibility VARCHAR(32) NOT NULL,
    protected BOOLEAN NOT NULL,
    display_name VARCHAR(255),
    description LONGTEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (namespace)
);
CREATE TABLE metadef_items (
    namespace VARCHAR(255) NOT NULL,
    kind VARCHAR(32) NOT NULL,
    name VARCHAR(255) NOT NULL,
    body LONGTEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (namespace, kind, name),
    FOREIGN KEY (namespace) REFERENCES metadef_namespaces (namespace) ON DELETE CASCADE ON UPDATE CASCADE
);

-- Kinds of resources that namespaces can be associated with; they outlive their associations.
CREATE TABLE metadef_resource_types (
    name VARCHAR(255) NOT NULL,
    protected BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (name)
);
