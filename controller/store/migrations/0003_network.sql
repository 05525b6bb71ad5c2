-- Networks, and what is plugged into them. Times are microseconds since the epoch; booleans are 0 or 1; addresses,
-- ranges and MACs are text in canonical form, so that equal ones are equal strings; lists are JSON.
-- Every resource ends in the same five columns: description, tags, created_at, updated_at, revision.

CREATE TABLE networks (
    id VARCHAR(64) NOT NULL,
    project_id VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL,
    admin_state_up BOOLEAN NOT NULL,
    shared BOOLEAN NOT NULL,
    external BOOLEAN NOT NULL,
    is_default BOOLEAN NOT NULL,
    mtu BIGINT NOT NULL,
    port_security_enabled BOOLEAN NOT NULL,
    dns_domain VARCHAR(255) NOT NULL,
    network_type VARCHAR(64) NOT NULL,
    physical_network VARCHAR(255),
    segmentation_id BIGINT,
    description LONGTEXT NOT NULL,
    tags LONGTEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX networks_project ON networks (project_id);

CREATE TABLE subnets (
    id VARCHAR(64) NOT NULL,
    network_id VARCHAR(64) NOT NULL,
    project_id VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL,
    cidr VARCHAR(64) NOT NULL,
    gateway_ip VARCHAR(64),
    enable_dhcp BOOLEAN NOT NULL,
    dns_nameservers LONGTEXT NOT NULL,
    host_routes LONGTEXT NOT NULL,
    allocation_pools LONGTEXT NOT NULL,
    ipv6_ra_mode VARCHAR(64),
    ipv6_address_mode VARCHAR(64),
    service_types LONGTEXT NOT NULL,
    description LONGTEXT NOT NULL,
    tags LONGTEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY (network_id) REFERENCES networks (id)
);
CREATE INDEX subnets_network ON subnets (network_id);
CREATE INDEX subnets_project ON subnets (project_id);

-- server_id is written by compute alone; device_id may be written by a tenant and proves nothing.
CREATE TABLE ports (
    id VARCHAR(64) NOT NULL,
    network_id VARCHAR(64) NOT NULL,
    project_id VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL,
    mac VARCHAR(64) NOT NULL,
    admin_state_up BOOLEAN NOT NULL,
    status VARCHAR(64) NOT NULL,
    device_id VARCHAR(255) NOT NULL,
    device_owner VARCHAR(255) NOT NULL,
    server_id VARCHAR(64),
    server_position BIGINT NOT NULL,
    owned_by_server BOOLEAN NOT NULL,
    host_id VARCHAR(64),
    binding_profile LONGTEXT NOT NULL,
    vnic_type VARCHAR(64) NOT NULL,
    allowed_address_pairs LONGTEXT NOT NULL,
    extra_dhcp_opts LONGTEXT NOT NULL,
    port_security_enabled BOOLEAN NOT NULL,
    dns_name VARCHAR(255) NOT NULL,
    description LONGTEXT NOT NULL,
    tags LONGTEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (network_id, mac),
    FOREIGN KEY (network_id) REFERENCES networks (id)
);
CREATE INDEX ports_project ON ports (project_id);
CREATE INDEX ports_device ON ports (device_id);
CREATE INDEX ports_server ON ports (server_id);
CREATE INDEX ports_host ON ports (host_id);

-- The primary key is what makes an address unique in its subnet, whoever asks for it at the same time.
CREATE TABLE port_fixed_ips (
    subnet_id VARCHAR(64) NOT NULL,
    address VARCHAR(64) NOT NULL,
    port_id VARCHAR(64) NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (subnet_id, address),
    FOREIGN KEY (subnet_id) REFERENCES subnets (id),
    FOREIGN KEY (port_id) REFERENCES ports (id) ON DELETE CASCADE
);
CREATE INDEX port_fixed_ips_port ON port_fixed_ips (port_id);

CREATE TABLE security_groups (
    id VARCHAR(64) NOT NULL,
    project_id VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL,
    stateful BOOLEAN NOT NULL,
    is_default BOOLEAN NOT NULL,
    description LONGTEXT NOT NULL,
    tags LONGTEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX security_groups_project ON security_groups (project_id);

-- One default group per project.
CREATE TABLE default_security_groups (
    project_id VARCHAR(64) NOT NULL,
    security_group_id VARCHAR(64) NOT NULL,
    PRIMARY KEY (project_id),
    FOREIGN KEY (security_group_id) REFERENCES security_groups (id) ON DELETE CASCADE
);

CREATE TABLE security_group_rules (
    id VARCHAR(64) NOT NULL,
    security_group_id VARCHAR(64) NOT NULL,
    project_id VARCHAR(64) NOT NULL,
    direction VARCHAR(64) NOT NULL,
    ethertype VARCHAR(64) NOT NULL,
    protocol VARCHAR(64),
    port_range_min BIGINT,
    port_range_max BIGINT,
    remote_ip_prefix VARCHAR(64),
    remote_group_id VARCHAR(64),
    description LONGTEXT NOT NULL,
    tags LONGTEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY (security_group_id) REFERENCES security_groups (id) ON DELETE CASCADE,
    FOREIGN KEY (remote_group_id) REFERENCES security_groups (id) ON DELETE CASCADE
);
CREATE INDEX security_group_rules_group ON security_group_rules (security_group_id);
CREATE INDEX security_group_rules_remote ON security_group_rules (remote_group_id);

CREATE TABLE port_security_groups (
    port_id VARCHAR(64) NOT NULL,
    security_group_id VARCHAR(64) NOT NULL,
    PRIMARY KEY (port_id, security_group_id),
    FOREIGN KEY (port_id) REFERENCES ports (id) ON DELETE CASCADE,
    FOREIGN KEY (security_group_id) REFERENCES security_groups (id)
);
CREATE INDEX port_security_groups_group ON port_security_groups (security_group_id);

-- A router's interfaces are ports with its id as device_id.
CREATE TABLE routers (
    id VARCHAR(64) NOT NULL,
    project_id VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL,
    admin_state_up BOOLEAN NOT NULL,
    gateway_network_id VARCHAR(64),
    gateway_port_id VARCHAR(64),
    enable_snat BOOLEAN NOT NULL,
    routes LONGTEXT NOT NULL,
    description LONGTEXT NOT NULL,
    tags LONGTEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY (gateway_network_id) REFERENCES networks (id),
    FOREIGN KEY (gateway_port_id) REFERENCES ports (id)
);
CREATE INDEX routers_project ON routers (project_id);

CREATE TABLE floating_ips (
    id VARCHAR(64) NOT NULL,
    project_id VARCHAR(64) NOT NULL,
    network_id VARCHAR(64) NOT NULL,
    address VARCHAR(64) NOT NULL,
    address_port_id VARCHAR(64) NOT NULL,
    port_id VARCHAR(64),
    fixed_address VARCHAR(64),
    router_id VARCHAR(64),
    dns_name VARCHAR(255) NOT NULL,
    dns_domain VARCHAR(255) NOT NULL,
    description LONGTEXT NOT NULL,
    tags LONGTEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (network_id, address),
    UNIQUE (port_id, fixed_address, network_id),
    FOREIGN KEY (network_id) REFERENCES networks (id),
    FOREIGN KEY (address_port_id) REFERENCES ports (id),
    FOREIGN KEY (port_id) REFERENCES ports (id),
    FOREIGN KEY (router_id) REFERENCES routers (id)
);
CREATE INDEX floating_ips_project ON floating_ips (project_id);
CREATE INDEX floating_ips_router ON floating_ips (router_id);

-- Limits that differ from the defaults; resource is as in the API, -1 is unlimited.
CREATE TABLE network_quotas (
    project_id VARCHAR(64) NOT NULL,
    resource VARCHAR(255) NOT NULL,
    limit_value BIGINT NOT NULL,
    PRIMARY KEY (project_id, resource)
);
