"""Every identity command of the openstack client, in one process, against the controller at argv[1].

Run by openstack_client_identity.rs; argv[2] is the administrator's password. Fails by an assertion.
"""

import io
import json
import sys
import tempfile

import requests
from openstackclient import shell

ENDPOINT, ADMIN_PASSWORD = sys.argv[1:3]
URL = f"{ENDPOINT}/identity/v3"


class Client:
    """A client that logged in once; commands run in its shell."""

    def __init__(self, *options):
        self.shell = shell.OpenStackShell()
        self.said = io.StringIO()
        self.shell.stdout = self.said
        options = ["--os-auth-url", URL, "--os-identity-api-version", "3", *options]
        assert self.shell.run([*options, "token", "issue", "-f", "json"]) == 0, options
        self.token = json.loads(self.said.getvalue())

    def status(self, *command):
        self.said.seek(0)
        self.said.truncate()
        status = self.shell.run_subcommand([str(part) for part in command])
        # One of the commands gives back what it should print.
        return 0 if isinstance(status, tuple) else status

    def do(self, *command):
        assert self.status(*command) == 0, command

    def refused(self, *command):
        assert self.status(*command) != 0, command

    def get(self, *command):
        self.do(*command, "-f", "json")
        return json.loads(self.said.getvalue())

    def names(self, *command, column="Name"):
        return [row[column] for row in self.get(*command)]


def by_password(name, password, *scope):
    return Client("--os-auth-type", "password", "--os-username", name, "--os-password", password,
                  "--os-user-domain-id", "default", *scope)


def in_project(name):
    return ["--os-project-name", name, "--os-project-domain-id", "default"]


admin = by_password("admin", ADMIN_PASSWORD, *in_project("admin"))


def domains():
    made = admin.get("domain", "create", "--description", "of tests", "--enable", "lab")
    assert made["name"] == "lab" and made["enabled"] is True, made
    assert admin.get("domain", "create", "--or-show", "lab")["id"] == made["id"]
    admin.do("domain", "set", "--name", "laboratory", "--description", "new", "lab")
    assert admin.get("domain", "show", "laboratory")["description"] == "new"
    assert "laboratory" in admin.names("domain", "list")
    assert admin.names("domain", "list", "--name", "laboratory") == ["laboratory"]
    admin.refused("domain", "delete", "laboratory")
    admin.do("domain", "set", "--disable", "laboratory")
    assert admin.names("domain", "list", "--enabled") == ["Default"]
    admin.do("domain", "delete", "laboratory")
    admin.refused("domain", "show", "laboratory")


def projects():
    top = admin.get("project", "create", "--description", "top", "--tag", "blue", "--property", "cost=7", "top")
    assert top["tags"] == ["blue"] and top["cost"] == "7", top
    leaf = admin.get("project", "create", "--parent", "top", "leaf")
    assert leaf["parent_id"] == top["id"]
    assert admin.get("project", "show", "--parents", "leaf")["parents"] is not None
    assert admin.get("project", "show", "--children", "top")["subtree"] == {leaf["id"]: None}
    assert admin.names("project", "list", "--parent", "top") == ["leaf"]
    assert admin.names("project", "list", "--tags", "blue") == ["top"]
    assert set(admin.names("project", "list", "--sort", "name:desc", "--domain", "default")) >= {"top", "leaf"}
    admin.refused("project", "set", "--disable", "top")
    admin.do("project", "set", "--disable", "leaf")
    admin.do("project", "set", "--name", "peak", "--disable", "--tag", "red", "top")
    shown = admin.get("project", "show", "peak")
    assert shown["tags"] == ["blue", "red"] and shown["enabled"] is False, shown
    admin.do("project", "set", "--enable", "peak")
    admin.refused("project", "create", "peak")
    assert admin.get("project", "create", "--or-show", "peak")["id"] == top["id"]
    admin.do("project", "delete", "leaf", "peak")


def users():
    made = admin.get("user", "create", "--password", "alice", "--email", "a@b.c", "--description", "first",
                     "--ignore-password-expiry", "--multi-factor-auth-rule", "password", "alice")
    assert made["email"] == "a@b.c" and made["options"]["ignore_password_expiry"] is True, made
    admin.refused("user", "create", "alice")
    admin.do("project", "create", "alice")
    admin.do("user", "set", "--email", "d@e.f", "--project", "alice", "--disable-multi-factor-auth", "alice")
    shown = admin.get("user", "show", "alice")
    assert shown["email"] == "d@e.f" and shown["default_project_id"], shown
    assert admin.names("user", "list", "--domain", "default") == ["admin", "alice"]
    admin.do("role", "add", "--user", "alice", "--project", "alice", "member")
    assert admin.names("user", "list", "--project", "alice") == ["alice"]
    assert admin.names("project", "list", "--user", "alice") == ["alice"]
    alice = by_password("alice", "alice", *in_project("alice"))
    alice.do("user", "password", "set", "--original-password", "alice", "--password", "mine")
    alice = by_password("alice", "mine", *in_project("alice"))
    assert alice.names("project", "list", "--my-projects") == ["alice"]
    alice.refused("user", "list")
    return alice, shown["id"]


def groups():
    made = admin.get("group", "create", "--description", "all", "crew")
    assert admin.get("group", "create", "--or-show", "crew")["id"] == made["id"]
    admin.do("group", "add", "user", "crew", "alice")
    admin.do("group", "contains", "user", "crew", "alice")
    assert admin.names("user", "list", "--group", "crew") == ["alice"]
    assert admin.names("group", "list", "--user", "alice") == ["crew"]
    admin.do("group", "remove", "user", "crew", "alice")
    admin.do("group", "set", "--name", "team", "--description", "few", "crew")
    assert admin.get("group", "show", "team")["description"] == "few"
    admin.do("group", "delete", "team")
    assert admin.names("group", "list") == []


def roles():
    admin.get("role", "create", "--description", "reads", "--immutable", "auditor")
    admin.refused("role", "delete", "auditor")
    admin.do("role", "set", "--no-immutable", "auditor")
    admin.do("role", "set", "--name", "checker", "auditor")
    assert "checker" in admin.names("role", "list")
    admin.get("role", "create", "--domain", "default", "local")
    assert admin.names("role", "list", "--domain", "default") == ["local"]
    admin.get("implied", "role", "create", "--implied-role", "reader", "checker")
    rows = admin.get("implied", "role", "list")
    assert any(row["Prior Role Name"] == "checker" and row["Implied Role Name"] == "reader" for row in rows), rows
    scope = ["--user", "alice", "--project", "alice"]
    admin.do("role", "add", *scope, "checker")
    of_alice = ["role", "assignment", "list", *scope, "--names"]
    assert set(admin.names(*of_alice, column="Role")) == {"member", "checker"}
    assert set(admin.names(*of_alice, "--effective", column="Role")) == {"member", "checker", "reader"}
    assert admin.names("role", "assignment", "list", "--role", "checker", column="User") != []
    admin.do("role", "remove", *scope, "checker")
    for target in (["--domain", "default"], ["--system", "all"]):
        admin.do("role", "add", "--user", "alice", *target, "checker")
        admin.do("role", "remove", "--user", "alice", *target, "checker")
    admin.do("role", "add", "--user", "alice", "--domain", "default", "--inherited", "checker")
    rows = admin.get("role", "assignment", "list", "--domain", "default", "--inherited")
    assert [row["Inherited"] for row in rows] == [True], rows
    admin.do("role", "remove", "--user", "alice", "--domain", "default", "--inherited", "checker")
    admin.do("implied", "role", "delete", "--implied-role", "reader", "checker")
    admin.do("role", "delete", "checker")
    admin.do("role", "delete", "--domain", "default", "local")


def application_credentials(alice):
    rules = json.dumps([{"service": "compute", "method": "GET", "path": "/v2.1/servers"}])
    made = alice.get("application", "credential", "create", "--secret", "s3cret", "--role", "member",
                     "--expiration", "2090-01-01T00:00:00", "--description", "robot", "--access-rules", rules, "robot")
    assert alice.names("application", "credential", "list") == ["robot"]
    shown = alice.get("application", "credential", "show", "robot")
    assert shown.get("description", shown.get("Description")) == "robot", shown
    found = alice.get("access", "rule", "list")
    assert [(rule["Service"], rule["Method"], rule["Path"]) for rule in found] == [
        ("compute", "GET", "/v2.1/servers")], found
    rule = found[0]["ID"]
    alice.get("access", "rule", "show", rule)
    alice.refused("access", "rule", "delete", rule)
    identity = made.get("id", made.get("ID"))
    robot = ["--os-auth-type", "v3applicationcredential", "--os-application-credential-id", identity,
             "--os-application-credential-secret", "s3cret"]
    assert Client(*robot).token["project_id"] == alice.token["project_id"]
    alice.do("application", "credential", "delete", "robot")
    alice.do("access", "rule", "delete", rule)


def trusts(alice):
    admin_id = admin.token["user_id"]
    # Who may not look for roles names them by id.
    member = admin.get("role", "show", "member")["id"]
    made = alice.get("trust", "create", "--project", alice.token["project_id"], "--role", member,
                     alice.token["user_id"], admin_id)
    assert made["trustee_user_id"] == admin_id, made
    assert alice.names("trust", "list", "--trustor", alice.token["user_id"], column="ID") == [made["id"]]
    assert alice.get("trust", "show", made["id"])["project_id"] == alice.token["project_id"]
    options = ["--os-auth-type", "v3password", "--os-user-id", admin_id, "--os-password", ADMIN_PASSWORD]
    Client(*options, "--os-trust-id", made["id"])
    alice.do("trust", "delete", made["id"])
    alice.refused("trust", "show", made["id"])


def credentials(alice, alice_id):
    pair = alice.get("ec2", "credentials", "create")
    assert alice.names("ec2", "credentials", "list", column="Access") == [pair["access"]]
    assert alice.get("ec2", "credentials", "show", pair["access"])["secret"] == pair["secret"]
    alice.do("ec2", "credentials", "delete", pair["access"])
    made = admin.get("credential", "create", "--type", "cert", alice_id, "the blob")
    assert admin.names("credential", "list", "--type", "cert", column="ID") == [made["id"]]
    admin.do("credential", "set", "--user", alice_id, "--type", "cert", "--data", "another", made["id"])
    assert admin.get("credential", "show", made["id"])["blob"] == "another"
    admin.do("credential", "delete", made["id"])


def catalog():
    admin.get("region", "create", "--description", "far", "north")
    admin.get("region", "create", "--parent-region", "north", "north-1")
    assert admin.names("region", "list", "--parent-region", "north", column="Region") == ["north-1"]
    admin.do("region", "set", "--description", "farther", "north")
    assert admin.get("region", "show", "north")["description"] == "farther"
    admin.get("service", "create", "--name", "designate", "--description", "names", "dns")
    admin.do("service", "set", "--description", "names and zones", "designate")
    assert admin.get("service", "show", "dns")["description"] == "names and zones"
    assert "designate" in admin.names("service", "list")
    made = admin.get("endpoint", "create", "--region", "north-1", "designate", "public", "http://dns.example/%(project_id)s")
    admin.do("endpoint", "set", "--url", "http://dns2.example/", made["id"])
    assert admin.names("endpoint", "list", "--service", "designate", column="URL") == ["http://dns2.example/"]
    assert admin.get("endpoint", "show", made["id"])["region"] == "north-1"
    later = by_password("admin", ADMIN_PASSWORD, *in_project("admin"))
    assert "designate" in later.names("catalog", "list")
    assert later.get("catalog", "show", "dns")["name"] == "designate"
    project = admin.token["project_id"]
    admin.do("endpoint", "add", "project", made["id"], project)
    assert admin.names("endpoint", "list", "--project", project, column="ID") == [made["id"]]
    admin.do("endpoint", "remove", "project", made["id"], project)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as filters:
        json.dump({"interface": "public"}, filters)
        filters.flush()
        group = admin.get("endpoint", "group", "create", "--description", "all public", "public", filters.name)
    admin.do("endpoint", "group", "add", "project", group["id"], project)
    assert admin.names("endpoint", "group", "list", "--project", project, column="Name") == ["public"]
    admin.do("endpoint", "group", "set", "--name", "open", group["id"])
    assert admin.get("endpoint", "group", "show", "open")["filters"] == {"interface": "public"}
    admin.do("endpoint", "group", "remove", "project", group["id"], project)
    admin.do("endpoint", "group", "delete", "open")
    limits()
    admin.do("endpoint", "delete", made["id"])
    admin.do("service", "delete", "designate")
    admin.do("region", "delete", "north-1")
    admin.do("region", "delete", "north")


def limits():
    made = admin.get("registered", "limit", "create", "--service", "designate", "--default-limit", "10",
                     "--description", "zones", "zones")
    admin.do("registered", "limit", "set", "--default-limit", "20", made["id"])
    assert admin.get("registered", "limit", "show", made["id"])["default_limit"] == 20
    assert admin.names("registered", "limit", "list", "--service", "designate", column="Resource Name") == ["zones"]
    limit = admin.get("limit", "create", "--project", "alice", "--service", "designate", "--resource-limit", "5", "zones")
    admin.do("limit", "set", "--resource-limit", "6", limit["id"])
    assert admin.get("limit", "show", limit["id"])["resource_limit"] == 6
    assert admin.names("limit", "list", "--project", "alice", column="Resource Limit") == [6]
    admin.refused("registered", "limit", "delete", made["id"])
    admin.do("limit", "delete", limit["id"])
    admin.do("registered", "limit", "delete", made["id"])


def policies():
    with tempfile.NamedTemporaryFile("w", suffix=".json") as rules:
        rules.write("{}")
        rules.flush()
        made = admin.get("policy", "create", "--type", "application/json", rules.name)
    admin.do("policy", "set", "--type", "text/plain", made["id"])
    assert admin.get("policy", "show", made["id"])["rules"] == "{}"
    assert admin.names("policy", "list", column="ID") == [made["id"]]
    admin.do("policy", "delete", made["id"])


def federation():
    with tempfile.NamedTemporaryFile("w", suffix=".json") as rules:
        json.dump([{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "sub"}]}], rules)
        rules.flush()
        admin.get("mapping", "create", "--rules", rules.name, "plain")
        admin.do("mapping", "set", "--rules", rules.name, "plain")
    assert admin.names("mapping", "list", column="ID") == ["plain"]
    assert admin.get("mapping", "show", "plain")["rules"][0]["remote"] == [{"type": "sub"}]
    admin.get("identity", "provider", "create", "--remote-id", "https://login.example", "--domain", "default", "sso")
    admin.do("identity", "provider", "set", "--description", "one", "sso")
    assert admin.get("identity", "provider", "show", "sso")["description"] == "one"
    assert admin.names("identity", "provider", "list", column="ID") == ["sso"]
    of_sso = ["--identity-provider", "sso"]
    admin.get("federation", "protocol", "create", *of_sso, "--mapping", "plain", "openid")
    admin.do("federation", "protocol", "set", *of_sso, "--mapping", "plain", "openid")
    assert admin.get("federation", "protocol", "show", *of_sso, "openid")["mapping"] == "plain"
    assert admin.names("federation", "protocol", "list", *of_sso, column="id") == ["openid"]
    admin.do("federation", "protocol", "delete", *of_sso, "openid")
    admin.do("identity", "provider", "delete", "sso")
    admin.do("mapping", "delete", "plain")
    admin.get("service", "provider", "create", "--auth-url", "https://b.example/auth", "--service-provider-url",
              "https://b.example/sp", "other")
    admin.do("service", "provider", "set", "--description", "b", "other")
    assert admin.get("service", "provider", "show", "other")["description"] == "b"
    assert admin.names("service", "provider", "list", column="ID") == ["other"]
    admin.do("service", "provider", "delete", "other")
    assert "alice" not in admin.names("federation", "project", "list")
    admin.get("federation", "domain", "list")


def tokens(alice):
    other = by_password("alice", "mine", *in_project("alice"))
    admin.do("token", "revoke", other.token["id"])
    # The client itself would log in again.
    reply = requests.get(f"{URL}/auth/projects", headers={"X-Auth-Token": other.token["id"]})
    assert reply.status_code == 401, reply.text
    alice.get("catalog", "list")
    # OAuth 1 is not there, and says so.
    admin.refused("consumer", "list")


domains()
projects()
alice, alice_id = users()
groups()
roles()
application_credentials(alice)
trusts(alice)
credentials(alice, alice_id)
catalog()
policies()
federation()
tokens(alice)
admin.do("user", "delete", "alice")
admin.do("project", "delete", "alice")
