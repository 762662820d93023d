# SPDX-License-Identifier: Apache-2.0
"""
Reads a repository that was cleanly unmounted, written from coffer-format(5) alone and with another
cryptographic library interface: it proves that the page is complete. It knows no rules for crashes.
"""

import base64
import configparser
import hashlib
import hmac
import os
import re
import stat
import struct

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

MAGIC = b"COFFERBL"
RECORD = 4096
SPARSE = 1


def unbase64(text):
    if isinstance(text, str):
        text = text.encode()
    raw = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    assert base64.urlsafe_b64encode(raw).rstrip(b"=") == text, text
    return raw


def tobase64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def derive(dek, label, size):
    return HKDF(hashes.SHA256(), size, salt=None, info=label.encode()).derive(dek)


def raw_public(key):
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def unlock(text, password):
    """Checks a coffer.ini in the order of the page, and returns the DEK and the parsed sections."""
    covered = text.rindex(b"sha256 = ")
    ini = configparser.RawConfigParser(delimiters=("=",), comment_prefixes=("#", ";"))
    ini.read_string(text.decode())
    assert unbase64(ini["integrity"]["sha256"]) == hashlib.sha256(text[:covered]).digest()
    assert ini["repository"]["version"] == "1"
    slot = ini["slot 0"]
    assert (slot["type"], slot["role"], slot["kdf"]) == ("password", "keeper", "scrypt")
    kek = Scrypt(
        unbase64(slot["salt"]), 32, int(slot["n"]), int(slot["r"]), int(slot["p"])
    ).derive(password)
    secrets = aes_key_unwrap(kek, unbase64(slot["wrapped"]))
    dek, seed = secrets[:32], secrets[32:]
    assert len(seed) == 32
    assert derive(dek, "coffer v1 key check", 32) == unbase64(ini["repository"]["key-check"])
    body = text[: text.index(b"[integrity]\n")]
    mac = hmac.digest(derive(dek, "coffer v1 configuration mac", 32), body, "sha256")
    assert mac == unbase64(ini["integrity"]["hmac"])
    public = unbase64(ini["repository"]["public-key"])
    assert raw_public(Ed25519PrivateKey.from_private_bytes(seed).public_key()) == public
    signed = b"coffer signed configuration\n"
    signed += re.search(rb"^\[repository\]\n(?:.+\n)+", text, re.M)[0]
    for section in re.finditer(rb"^\[slot \d+\]\ntype.*\nrole.*\nlabel.*\ncreated.*\n", text, re.M):
        signed += section[0]
    Ed25519PublicKey.from_public_bytes(public).verify(
        unbase64(ini["signature"]["ed25519"]), signed
    )
    return dek, ini


class Repository:
    def __init__(self, path, password):
        self.data = os.fsencode(os.path.join(path, "data"))
        with open(os.path.join(path, "coffer.ini"), "rb") as file:
            dek, self.ini = unlock(file.read(), password)
        self.generation = int(self.ini["repository"]["generation"])
        self.names = AESSIV(derive(dek, "coffer v1 names", 64))
        self.targets = AESSIV(derive(dek, "coffer v1 symlink targets", 64))
        self.xattr_names = AESSIV(derive(dek, "coffer v1 xattr names", 64))
        self.xattr_values = AESSIV(derive(dek, "coffer v1 xattr values", 64))
        self.file_keys = derive(dek, "coffer v1 file keys", 32)

    # ---- names ----

    def identity(self, directory):
        raw = unbase64(os.readlink(directory + b"/.id"))
        assert len(raw) == 20 and struct.unpack_from("<I", raw) == (self.generation,)
        return raw[4:]

    def name(self, directory, identity, entry):
        text = entry
        if entry.startswith(b".l"):
            text = os.readlink(directory + b"/.n" + entry[2:])
            assert len(text) > 255 and tobase64(hashlib.sha256(text).digest()) == entry[2:]
        return self.names.decrypt(unbase64(text), [identity])

    def walk(self, directory=None, plain=b""):
        """Pairs of (plain path, path in the repository), the root first."""
        directory = directory or self.data
        if not plain:
            yield b"", directory
        identity = self.identity(directory)
        for entry in sorted(os.listdir(directory)):
            if entry.startswith(b".") and not entry.startswith(b".l"):
                continue
            path = directory + b"/" + entry
            name = plain + b"/" + self.name(directory, identity, entry)
            yield name, path
            if stat.S_ISDIR(os.lstat(path).st_mode):
                yield from self.walk(path, name)

    # ---- symlinks and attributes ----

    def target(self, path):
        text = os.readlink(path)
        aad = []
        if text.startswith(b"@"):
            ident, length = text[1:23], int(text[23:], 16)
            with open(self.data + b"/.targets/" + ident, "rb") as file:
                raw = file.read()
            assert len(text) == 29 and len(raw) == 36 + length
            aad = [ident]
        else:
            raw = unbase64(text)
        assert struct.unpack_from("<I", raw) == (self.generation,)
        return self.targets.decrypt(raw[20:], [b"symlink", raw[4:20], *aad])

    def xattrs(self, path):
        ret = {}
        for stored in os.listxattr(path, follow_symlinks=False):
            value = os.getxattr(path, stored, follow_symlinks=False)
            kind, _, text = os.fsencode(stored).partition(b".")
            if kind != b"user":
                ret[stored] = value
                continue
            assert text[1:2] == b"." and text[:1] in b"cl"
            if text.startswith(b"l."):
                (size,) = struct.unpack_from("<H", value)
                long, value = value[2 : 2 + size], value[2 + size :]
                assert tobase64(hashlib.sha256(long).digest()) == text[2:]
                text = b"l." + long
            name = self.xattr_names.decrypt(unbase64(text[2:]), [b"xattr-name"])
            assert struct.unpack_from("<I", value) == (self.generation,)
            plain = self.xattr_values.decrypt(value[20:], [b"xattr", value[4:20], name])
            assert plain[:1] == b"\0"
            ret[os.fsdecode(b"user." + name)] = plain[1:]
        return ret

    # ---- content ----

    def content(self, path):
        with open(path, "rb") as file:
            blob = file.read()
        if not blob:
            return b""
        clear = blob[:128]
        magic, version, flags, generation = struct.unpack_from("<8sIII", clear)
        assert magic == MAGIC and (version, flags, generation) == (1, 0, self.generation)
        assert clear[60:] == bytes(68)
        key = AESGCM(aes_key_unwrap(self.file_keys, clear[20:60]))
        # 4096 r + b bytes, where the last record holds b.
        count = max(1, (len(blob) - 1) // RECORD) if len(blob) > RECORD else 1
        out, size, sparse = [], None, False
        for k in range(count):
            record = blob[k * RECORD : (k + 1) * RECORD].ljust(RECORD, b"\0")
            capacity = (3906, 3938)[k] if k < 2 else 4066
            if not any(record):
                assert sparse and k + 1 < count, (k, "missing")
                out.append(bytes(capacity))
                continue
            head = 128 if k < 2 else 0
            assert record[:head] == clear[:head]
            nonce, length, tag = struct.unpack_from("<12sH16s", record, head)
            extra = 32 if k == 0 else 0
            sealed = record[head + 30 : head + 30 + extra + length]
            assert not any(record[head + 30 + extra + length :])
            aad = struct.pack("<QH", k, length) + record[:head]
            plain = key.decrypt(nonce, sealed + tag, aad)
            if k == 0:
                size, _epoch, flags, _writes, zeros = struct.unpack_from("<QQIQI", plain)
                assert zeros == 0 and flags in (0, SPARSE)
                sparse = bool(flags & SPARSE)
            assert length == (capacity if k + 1 < count else len(blob) - RECORD * count)
            out.append(plain[extra:])
        content = b"".join(out)
        assert size == len(content)
        return content
