"""The image commands of the `openstack` client, and openstacksdk's image proxy, against the controller at argv[1].

Run by image_client.rs in a scratch folder; argv[2] is the administrator's password, argv[3] the URL of a file that
the controller may fetch. One process: the client's shell runs inside it. Fails by an assertion.
"""

import contextlib
import hashlib
import io
import json
import os
import sys
import time

import openstack
import requests
from openstackclient import shell
from openstackclient.common import clientmanager
from osc_lib import clientmanager as base

ENDPOINT, ADMIN_PASSWORD, SOURCE = sys.argv[1:4]
URL = f"{ENDPOINT}/identity/v3"
PIECE = bytes(range(256)) * 16


def path(name):
    return os.path.abspath(name)


def login(user, password, project):
    scope = {"project": {"name": project, "domain": {"id": "default"}}}
    user = {"name": user, "domain": {"id": "default"}, "password": password}
    identity = {"methods": ["password"], "password": {"user": user}}
    reply = requests.post(f"{URL}/auth/tokens", json={"auth": {"identity": identity, "scope": scope}})
    assert reply.status_code == 201, reply.text
    return reply.headers["X-Subject-Token"]


ADMIN = login("admin", ADMIN_PASSWORD, "admin")


def identity(method, where, body=None):
    reply = requests.request(method, URL + where, json=body, headers={"X-Auth-Token": ADMIN})
    assert reply.ok, f"{method} {where}: {reply.status_code} {reply.text}"
    return reply.json() if reply.content else None


def tenant(name):
    """A project and a member of it, both of this name, which is the password too: (project id, token)."""
    project = identity("POST", "/projects", {"project": {"name": name}})["project"]["id"]
    user = identity("POST", "/users", {"user": {"name": name, "password": name}})["user"]["id"]
    role = identity("GET", "/roles?name=member")["roles"][0]["id"]
    identity("PUT", f"/projects/{project}/users/{user}/roles/{role}")
    return project, login(name, name, name)


ALICE_PROJECT, ALICE = tenant("alice")
BOB_PROJECT, BOB = tenant("bob")
PROJECTS = {ALICE: "alice", BOB: "bob", ADMIN: "admin"}


class Terminal:
    """Standard input that brings nothing, or, when it is no terminal, some data."""

    def __init__(self, data=None):
        self.buffer, self.is_terminal = io.BytesIO(data or b""), data is None

    def isatty(self):
        return self.is_terminal


sys.stdin = Terminal()


def run(token, command, *more):
    """One command of the client: (its exit code, what it printed, what it complained of)."""
    arguments = ["--os-auth-type", "v3token", "--os-auth-url", URL, "--os-token", token,
                 "--os-project-name", PROJECTS[token], "--os-project-domain-id", "default",
                 "--os-identity-api-version", "3", "--os-image-api-version", "2"]
    arguments += command.split() + list(more)
    # The client remembers whose it is for as long as its process lives, in the attributes of a class.
    for kind in clientmanager.ClientManager.__mro__:
        for attribute in vars(kind).values():
            if isinstance(attribute, base.ClientCache):
                attribute._handle = None
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = shell.main(arguments)
        except SystemExit as exit:
            code = exit.code
    return code, out.getvalue(), err.getvalue()


def done(token, command, *more):
    code, out, err = run(token, command, *more)
    assert not code, f"{command} {more}: {out} {err}"
    return out


def read(token, command, *more):
    return json.loads(done(token, command, *more, "-f", "json"))


def refused(token, words, command, *more):
    code, out, err = run(token, command, *more)
    assert code and words in out + err, f"{command} {more}: {code} {out} {err}"


def names(token, *more):
    return {image["Name"] for image in read(token, "image list", *more)}


def until(what, holds):
    for _ in range(300):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError(f"not within 30 s: {what}")


def files():
    with open(path("disk.raw"), "wb") as file:
        file.write(PIECE)
    with open(path("disk.raw"), "rb") as file:
        assert file.read() == PIECE


def create_show_and_save():
    made = read(ALICE, "image create web --file", path("disk.raw"), "--disk-format", "raw",
                "--property", "os_distro=debian", "--property", "hw_disk_bus=virtio", "--tag", "small",
                "--min-disk", "1", "--min-ram", "64", "--private")
    assert made["status"] in ("queued", "active"), made
    shown = read(ALICE, "image show web")
    assert shown["status"] == "active" and shown["size"] == len(PIECE), shown
    assert shown["checksum"] == hashlib.md5(PIECE).hexdigest(), shown
    assert shown["min_disk"] == 1 and shown["min_ram"] == 64 and shown["tags"] == ["small"], shown
    properties = shown["properties"]
    assert properties["os_hash_value"] == hashlib.sha512(PIECE).hexdigest(), properties
    assert properties["os_distro"] == "debian" and properties["stores"] == "local", properties
    done(ALICE, "image save --file", path("saved"), "web")
    with open(path("saved"), "rb") as file:
        assert file.read() == PIECE
    refused(ALICE, "No Image found for nothing", "image show nothing")
    sys.stdin = Terminal(PIECE)
    done(ALICE, "image create piped --disk-format raw")
    sys.stdin = Terminal()
    piped = read(ALICE, "image show piped")
    assert (piped["status"], piped["checksum"]) == ("active", shown["checksum"]), piped
    done(ALICE, "image delete piped")
    return shown["id"]


def set_and_unset(image):
    done(ALICE, "image set web --property os_version=12 --property a/b~c=x --tag big --name web-2 --os-version 12"
         " --min-disk 2 --hidden --protected")
    shown = read(ALICE, "image show", image)
    assert shown["name"] == "web-2" and shown["min_disk"] == 2 and shown["protected"] is True, shown
    assert sorted(shown["tags"]) == ["big", "small"] and shown["properties"]["a/b~c"] == "x", shown
    assert shown["properties"]["os_hidden"] is True, shown
    refused(ALICE, "protected", "image delete", image)
    assert "web-2" not in names(ALICE) and "web-2" in names(ALICE, "--hidden")
    done(ALICE, "image unset web-2 --tag big --property os_version --property a/b~c")
    done(ALICE, "image set web-2 --unhidden --unprotected")
    shown = read(ALICE, "image show", image)
    assert shown["tags"] == ["small"] and "a/b~c" not in shown["properties"], shown
    refused(ALICE, "403", "image set web-2 --public")


def list_with_every_filter():
    for name in ["one", "two", "three"]:
        done(ALICE, f"image create {name} --disk-format qcow2 --property kind={name} --tag listed")
    done(ALICE, "image create common --disk-format raw --community")
    assert names(ALICE, "--tag", "listed") == {"one", "two", "three"}
    assert names(ALICE, "--tag", "listed", "--property", "kind=two") == {"two"}
    assert names(ALICE, "--name", "one") == {"one"}
    assert names(ALICE, "--status", "active") == {"web-2"}
    assert names(ALICE, "--private") == {"web-2"}
    assert names(ALICE, "--shared", "--tag", "listed") == {"one", "two", "three"}
    assert "common" in names(ALICE) and "common" not in names(BOB)
    assert names(BOB, "--community") == {"common"} and "common" in names(BOB, "--all")
    assert names(ALICE, "--project", ALICE_PROJECT, "--tag", "listed") == {"one", "two", "three"}
    rows = read(ALICE, "image list --tag listed --sort name:asc --long")
    assert [row["Name"] for row in rows] == ["one", "three", "two"], rows
    # The client sorts what it got: the newest of them first is the server's order.
    assert names(ALICE, "--tag", "listed", "--limit", "2") == {"two", "three"}
    assert names(ALICE, "--tag", "listed", "--marker", "three") == {"one", "two"}


def stage_and_import():
    methods = read(ALICE, "image import info")["import-methods"]
    assert {"glance-direct", "web-download", "copy-image", "glance-download"} <= set(methods), methods
    stores = read(ALICE, "image stores list")
    assert [store["ID"] for store in stores] == ["local"], stores
    refused(ALICE, "403", "image stores list --detail")
    assert read(ADMIN, "image stores list --detail")[0]["ID"] == "local"
    done(ALICE, "image create staged --disk-format raw")
    done(ALICE, "image stage staged --file", path("disk.raw"))
    assert read(ALICE, "image show staged")["status"] == "uploading"
    done(ALICE, "image import staged --method glance-direct --store local")
    until("the import ends", lambda: read(ALICE, "image show staged")["status"] == "active")
    assert read(ALICE, "image show staged")["checksum"] == hashlib.md5(PIECE).hexdigest()
    done(ALICE, "image create fetched --disk-format raw")
    done(ALICE, "image import fetched --method web-download --uri", SOURCE)
    until("the import ends", lambda: read(ALICE, "image show fetched")["status"] == "active")
    assert read(ALICE, "image show fetched")["checksum"] == hashlib.md5(PIECE).hexdigest()
    done(ALICE, "image create elsewhere --disk-format raw")
    # The client does not look at the answer to an import.
    done(ALICE, "image import elsewhere --method web-download --uri", "http://169.254.169.254/latest/meta-data/")
    assert len(read(ADMIN, "image task list")) == 2 and read(ALICE, "image show elsewhere")["status"] == "queued"
    done(ALICE, "image import elsewhere --method glance-download --remote-region nowhere --remote-image",
         "c6ae1dbb-7d3d-4b2d-8f6e-0d5c6a6e9f10", "--remote-service-interface", "public")
    until("the import fails", lambda: read(ALICE, "image show elsewhere")["status"] == "queued")
    done(ADMIN, "image import fetched --method copy-image --all-stores")
    tasks = read(ADMIN, "image task list")
    assert len(tasks) == 3 and {task["Status"] for task in tasks} == {"success", "failure"}, tasks
    failed = next(task["ID"] for task in tasks if task["Status"] == "failure")
    shown = read(ADMIN, "image task show", failed)
    assert "region nowhere" in shown["message"] and shown["type"] == "api_image_import", shown
    refused(ALICE, "403", "image task list")


def share():
    refused(ALICE, "403", "image add project web-2", BOB_PROJECT)
    done(ALICE, "image set web-2 --shared")
    image = read(ALICE, "image show web-2")["id"]
    member = read(ALICE, "image add project web-2", BOB_PROJECT)
    assert member["status"] == "pending" and member["member_id"] == BOB_PROJECT, member
    refused(ALICE, "409", "image add project web-2", BOB_PROJECT)
    assert read(BOB, "image show", image)["name"] == "web-2", "seen by its id from the offer on"
    assert "web-2" not in names(BOB) and "web-2" in names(BOB, "--member-status", "pending")
    done(BOB, "image set --accept", image)
    assert "web-2" in names(BOB)
    rows = read(ALICE, "image member list web-2")
    assert [(row["Member ID"], row["Status"]) for row in rows] == [(BOB_PROJECT, "accepted")], rows
    assert read(ALICE, "image member get web-2", BOB_PROJECT)["status"] == "accepted"
    refused(BOB, "403", "image set --name mine", image)
    refused(BOB, "403", "image delete", image)
    done(BOB, "image set --reject", image)
    assert "web-2" not in names(BOB)
    done(ALICE, "image remove project web-2", BOB_PROJECT)
    refused(BOB, "No Image found", "image show", image)


def deactivate(image):
    done(ALICE, "image set web-2 --deactivate")
    refused(ALICE, "Unable to download image", "image save --file", path("none"), "web-2")
    done(ADMIN, "image save --file", path("saved"), image)
    done(ALICE, "image set web-2 --activate")
    assert read(ALICE, "image show web-2")["status"] == "active"


def metadata_definitions():
    space = "image metadef"
    done(ADMIN, f"{space} namespace create Test::Disk --display-name Disks --description Disks --public")
    done(ADMIN, f"{space} namespace set Test::Disk --display-name", "Kinds of disks", "--public")
    assert read(ALICE, f"{space} namespace show Test::Disk")["display_name"] == "Kinds of disks"
    assert "Test::Disk" in {row["namespace"] for row in read(ALICE, f"{space} namespace list")}
    schema = json.dumps({"description": "a bus", "enum": ["virtio"]})
    done(ADMIN, f"{space} property create Test::Disk --name bus --title Bus --type string --schema", schema)
    assert read(ALICE, f"{space} property show Test::Disk bus")["enum"] == ["virtio"]
    done(ADMIN, f"{space} property set Test::Disk bus --name bus --title", "The bus", "--type", "string",
         "--schema", schema)
    assert {row["title"] for row in read(ALICE, f"{space} property list Test::Disk")} == {"The bus"}
    done(ADMIN, f"{space} object create --namespace Test::Disk kinds")
    assert [row["name"] for row in read(ALICE, f"{space} object list Test::Disk")] == ["kinds"]
    done(ADMIN, f"{space} object update Test::Disk kinds --name sorts")
    assert read(ALICE, f"{space} object show Test::Disk sorts")["name"] == "sorts"
    done(ADMIN, f"{space} resource type association create Test::Disk OS::Nova::Flavor")
    rows = read(ALICE, f"{space} resource type association list Test::Disk")
    assert "OS::Nova::Flavor" in json.dumps(rows), rows
    assert "OS::Nova::Flavor" in json.dumps(read(ALICE, f"{space} resource type list"))
    done(ADMIN, f"{space} resource type association delete Test::Disk OS::Nova::Flavor")
    done(ADMIN, f"{space} object delete Test::Disk sorts")
    done(ADMIN, f"{space} property delete Test::Disk bus")
    refused(ALICE, "403", f"{space} namespace create Test::Mine")
    done(ADMIN, f"{space} namespace delete Test::Disk")


def no_cache():
    for command in ["cached image list", "cached image queue web-2", "cached image clear"]:
        code, out, err = run(ADMIN, command)
        assert code, f"there is no cache, and {command} must not pretend: {out} {err}"


def delete():
    done(ALICE, "image delete one two three common staged fetched elsewhere web-2")
    assert not names(ALICE), names(ALICE)


def by_the_sdk():
    cloud = openstack.connect(
        load_yaml_config=False, load_envvars=False, auth_type="v3token", region_name="RegionOne",
        auth={"auth_url": URL, "token": ALICE, "project_name": "alice", "project_domain_id": "default"})
    made = cloud.create_image("sdk", filename=path("disk.raw"), disk_format="raw", container_format="bare",
                              wait=True, timeout=60, validate_checksum=True, meta={"os_distro": "debian"})
    assert made.status == "active" and made.properties["owner_specified.openstack.sha256"], made
    again = cloud.create_image("sdk", filename=path("disk.raw"), disk_format="raw", container_format="bare",
                               wait=True, timeout=60, validate_checksum=True)
    assert again.id == made.id, "the same content is not uploaded twice"
    assert cloud.image.find_image("sdk").id == made.id and cloud.image.find_image("none") is None
    renamed = cloud.image.update_image(made, name="sdk-2", os_type="linux", min_disk=3)
    assert (renamed.name, renamed.os_type, renamed.min_disk) == ("sdk-2", "linux", 3), renamed
    cloud.image.add_tag(renamed, "t")
    assert cloud.image.get_image(made.id).tags == ["t"]
    cloud.image.remove_tag(renamed, "t")
    whole = io.BytesIO()
    cloud.image.download_image(made.id, output=whole)
    assert whole.getvalue() == PIECE
    assert b"".join(cloud.image.download_image(made.id, stream=True).iter_content(512)) == PIECE
    more = [cloud.image.create_image(f"page-{number}", disk_format="raw", container_format="bare", wait=False,
                                     allow_duplicates=True) for number in range(5)]
    assert len(list(cloud.image.images(limit=2))) == 6, "pages are followed to their end"
    schema = cloud.image.get_image_schema()
    assert "os_hash_value" in schema.properties and "kernel_id" in schema.properties, schema.properties
    member = cloud.image.add_member(made, member_id=BOB_PROJECT)
    assert member.status == "pending" and [one.member_id for one in cloud.image.members(made)] == [BOB_PROJECT]
    cloud.image.remove_member(member, made)
    cloud.image.stage_image(more[0], filename=path("disk.raw"))
    cloud.image.import_image(more[0], method="glance-direct", all_stores=True, all_stores_must_succeed=True)
    until("the import ends", lambda: cloud.image.get_image(more[0].id).status == "active")
    cloud.image.deactivate_image(made)
    assert cloud.image.get(f"/images/{made.id}/file").status_code == 403
    cloud.image.reactivate_image(made)
    for image in [made, *more]:
        cloud.image.delete_image(image, ignore_missing=False)
    assert not list(cloud.image.images())


files()
IMAGE = create_show_and_save()
set_and_unset(IMAGE)
list_with_every_filter()
stage_and_import()
share()
deactivate(IMAGE)
metadata_definitions()
no_cache()
delete()
by_the_sdk()
