"""What a webhook may call: the internet, and nothing that only this machine can reach."""

from __future__ import annotations

import pytest

from responses_api.webhooks.addresses import AddressRefused, addresses, check_url, is_public, resolve

PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "2001:4860:4860::8888", "64:ff9b::808:808"]
PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.0.8",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "2002:a00:1::",
    "2001:db8::1",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "100::1",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_everything_else_is_not(address: str) -> None:
    assert not is_public(address)
    url = check_url("https://hooks.example.com/", allow_private=False)
    with pytest.raises(AddressRefused, match="not a public address"):
        # One bad address among good ones is enough: the next attempt might take it.
        addresses(url, lambda host, port: ["1.1.1.1", address], allow_private=False)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://hooks.example.com/", "not an https URL"),
        ("ftp://hooks.example.com/", "not an https URL"),
        ("file:///etc/passwd", "not an https URL"),
        ("hooks.example.com", "not an https URL"),
        ("", "not an https URL"),
        ("https://", "no valid host"),
        ("https://user:password@hooks.example.com/", "credentials"),
        ("https://good.example.com\\@127.0.0.1/", "credentials in the URL"),
        ("https://[fe80::1%25eth0]/", "no valid host"),
        ("https://127.0.0.1/", "not a public address"),
        ("https://[::1]:8443/", "not a public address"),
        ("https://169.254.169.254/latest/meta-data", "not a public address"),
        ("https://hooks.example.com:0/", "no valid port"),
        ("https://hooks.example.com:99999/", "no valid port"),
    ],
)
def test_urls_are_refused_with_the_reason(url: str, reason: str) -> None:
    with pytest.raises(AddressRefused, match=reason):
        check_url(url, allow_private=False)


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001", "017700000001", "localhost"])
def test_other_spellings_of_loopback_are_found_out(host: str) -> None:
    with pytest.raises(AddressRefused):
        addresses(check_url(f"https://{host}/", allow_private=False), resolve, allow_private=False)


def test_private_networks_may_be_allowed() -> None:
    url = check_url("http://hooks:8000/x", allow_private=True)
    assert addresses(url, lambda host, port: ["10.0.0.1"], allow_private=True) == ["10.0.0.1"]
    with pytest.raises(AddressRefused, match="not an http or https URL"):
        check_url("ftp://hooks/", allow_private=True)


def test_a_name_without_addresses_is_unknown() -> None:
    url = check_url("https://hooks.example.com/", allow_private=False)

    def nowhere(host: str, port: int) -> list[str]:
        raise OSError("no such host")

    with pytest.raises(AddressRefused, match="unknown host"):
        addresses(url, nowhere, allow_private=False)
