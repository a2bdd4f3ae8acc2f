"""The few protobuf messages of plugin.proto, and a certificate for AutoMTLS."""

import datetime


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def number(field, n):
    return varint(field << 3) + varint(n) if n else b""


def block(field, b):
    return varint(field << 3 | 2) + varint(len(b)) + b if b else b""


def fields(b):
    """The fields of a message by number: int or bytes; the last of a field counts."""
    out, at = {}, 0

    def read():
        nonlocal at
        v = shift = 0
        while True:
            c = b[at]
            at += 1
            v |= (c & 127) << shift
            shift += 7
            if c < 128:
                return v

    while at < len(b):
        tag = read()
        if tag & 7 == 0:
            out[tag >> 3] = read()
        elif tag & 7 == 2:
            n = read()
            out[tag >> 3] = b[at:at + n]
            at += n
        elif tag & 7 in (1, 5):
            at += 8 if tag & 7 == 1 else 4
        else:
            raise ValueError("malformed message")
    return out


class Frame:
    """One frame of the stream."""

    def __init__(self, seq=0, kind=0, n=0, data=b""):
        self.seq, self.kind, self.n, self.data = seq, kind, n, data

    def encode(self):
        return number(1, self.seq) + number(2, self.kind) + number(3, self.n) + block(4, self.data)

    @staticmethod
    def decode(b):
        f = fields(b)
        return Frame(f.get(1, 0), f.get(2, 0), f.get(3, 0), f.get(4, b""))


def certificate():
    """A certificate of this process alone, signed by itself: (DER, PEM, key PEM)."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.utcnow()
    cert = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=365 * 30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return (
        cert.public_bytes(serialization.Encoding.DER), cert.public_bytes(pem),
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
