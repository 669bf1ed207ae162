#!/usr/bin/env python3
"""sbom.py [--licences]: a software bill of materials, as SPDX 2.3 in JSON, of what the release binaries are linked from.

Standard input is `cargo metadata`; SOURCE_DATE_EPOCH, ORLOP_COMMIT and ORLOP_RUSTC say which build it is about. Crates that only the tests
need, or only building, are left out of what is contained; build dependencies are told as such.
--licences prints a line for each crate instead: name, version, licence.
"""
import datetime
import hashlib
import json
import os
import re
import sys

ROOTS = ("orlop", "orlop-tools", "orlop-shim")


def reachable(metadata):
    """id -> whether it is part of the binaries (False: only of building them)."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    roots = [package["id"] for package in metadata["packages"] if package["name"] in ROOTS and package["source"] is None]
    macros = {
        package["id"]
        for package in metadata["packages"]
        if any("proc-macro" in target["kind"] for target in package["targets"])
    }
    linked, edges = {}, []
    work = [(root, True) for root in roots]
    while work:
        package, inside = work.pop()
        inside = inside and package not in macros
        if linked.get(package, None) in (True, inside):
            continue
        linked[package] = inside
        for dependency in nodes[package]["deps"]:
            kinds = {kind["kind"] for kind in dependency["dep_kinds"]}
            if kinds & {None, "build"}:
                work.append((dependency["pkg"], inside and None in kinds))
                edges.append((package, dependency["pkg"], None in kinds))
    return linked, edges, roots


def identifier(package):
    """SPDX identifiers have letters, digits, dots and dashes only."""
    return "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", f"{package['name']}-{package['version']}")


def licence(package):
    """Cargo's older way of writing "or" is a slash."""
    return (package["license"] or "NOASSERTION").replace("/", " OR ")


def checksums(lock):
    """(name, version) -> the digest of the crate's archive, by Cargo.lock."""
    found = {}
    for block in lock.split("[[package]]"):
        fields = dict(re.findall(r'^(name|version|checksum) = "(.*)"$', block, re.MULTILINE))
        if "checksum" in fields:
            found[fields["name"], fields["version"]] = fields["checksum"]
    return found


def described(package, inside, digests):
    """A package of SPDX."""
    crates_io = (package["source"] or "").startswith("registry+")
    entry = {
        "SPDXID": identifier(package),
        "name": package["name"],
        "versionInfo": package["version"],
        "downloadLocation": f"https://crates.io/crates/{package['name']}/{package['version']}" if crates_io else "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": licence(package),
        "licenseDeclared": licence(package),
        "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": "APPLICATION" if package["name"] in ROOTS else "LIBRARY",
    }
    if not inside:
        entry["comment"] = "needed for building only: no part of the binaries"
    if crates_io:
        reference = f"pkg:cargo/{package['name']}@{package['version']}"
        entry["externalRefs"] = [
            {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": reference}
        ]
    digest = digests.get((package["name"], package["version"]))
    if digest:
        entry["checksums"] = [{"algorithm": "SHA256", "checksumValue": digest}]
    return entry


def libraries(compiler):
    """What is linked besides crates: Rust's own library, and with it the C library of the target."""
    common = {"downloadLocation": "NOASSERTION", "filesAnalyzed": False, "copyrightText": "NOASSERTION"}
    common["primaryPackagePurpose"] = "LIBRARY"
    return [
        {
            "SPDXID": "SPDXRef-rust-std",
            "name": "rust-std",
            "versionInfo": compiler,
            "licenseConcluded": "MIT OR Apache-2.0",
            "licenseDeclared": "MIT OR Apache-2.0",
            **common,
        },
        {
            "SPDXID": "SPDXRef-musl",
            "name": "musl",
            "licenseConcluded": "MIT",
            "licenseDeclared": "MIT",
            "comment": "the one that the Rust target comes with; a build without that target has a static glibc instead",
            **common,
        },
    ]


def document(metadata):
    """The whole document."""
    linked, edges, roots = reachable(metadata)
    packages = {package["id"]: package for package in metadata["packages"] if package["id"] in linked}
    with open(os.path.join(metadata["workspace_root"], "Cargo.lock"), encoding="utf-8") as file:
        digests = checksums(file.read())
    version = next(package["version"] for package in packages.values() if package["name"] == "orlop")
    commit = os.environ.get("ORLOP_COMMIT", "unknown")
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    created = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    entries = [
        described(package, linked[package["id"]], digests)
        for package in sorted(packages.values(), key=lambda p: (p["name"], p["version"]))
    ]
    relations = [("SPDXRef-DOCUMENT", "DESCRIBES", identifier(packages[root])) for root in roots]
    for library in libraries(os.environ.get("ORLOP_RUSTC", "unknown")):
        entries.append(library)
        relations += [(identifier(packages[root]), "STATIC_LINK", library["SPDXID"]) for root in roots]
    for one, other, inside in edges:
        if inside:
            relations.append((identifier(packages[one]), "DEPENDS_ON", identifier(packages[other])))
        else:
            relations.append((identifier(packages[other]), "BUILD_DEPENDENCY_OF", identifier(packages[one])))
    content = hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"orlop-{version}",
        "documentNamespace": f"https://spdx.org/spdxdocs/orlop-{version}-{commit}-{content[:16]}",
        "creationInfo": {"created": created, "creators": ["Tool: orlop-hack-sbom"]},
        "packages": entries,
        "relationships": [
            {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}
            for one, kind, other in sorted(set(relations))
        ],
    }


def main():
    """The exit status."""
    metadata = json.load(sys.stdin)
    if sys.argv[1:] == ["--licences"]:
        linked, _, _ = reachable(metadata)
        lines = {
            f"{package['name']} {package['version']}: {licence(package)}"
            for package in metadata["packages"]
            if linked.get(package["id"]) and package["source"]
        }
        print("\n".join(sorted(lines)))
    elif sys.argv[1:]:
        print(__doc__, file=sys.stderr)
        return 2
    else:
        print(json.dumps(document(metadata), indent=2))
    return 0


sys.exit(main())
