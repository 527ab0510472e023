"""Writes a database of random networks, and a file with what the reader of MaxMind finds for addresses in and beside them."""

import ipaddress
import random
import sys

import maxminddb
from mmdb_writer import MMDBWriter
from netaddr import IPSet

random.seed(7)
path = sys.argv[1]
writer = MMDBWriter(6, "Test-Country-ASN", languages=["en"], ipv4_compatible=True)
networks = []
for number in range(400):
    if number % 2:
        bits, width, first = random.getrandbits(32), 32, random.randint(8, 32)
    else:
        bits, width, first = 0x2 << 124 | random.getrandbits(124), 128, random.randint(16, 64)
    bits = bits >> (width - first) << (width - first)
    kind = ipaddress.IPv4Network if width == 32 else ipaddress.IPv6Network
    networks.append(kind((bits, first)))
# Those with others in them come first, as the writer replaces.
networks.sort(key=lambda network: network.prefixlen)
for number, network in enumerate(networks):
    code = random.choice(["DE", "FR", "BR", "JP", "ZA", "NZ"])
    record = {"country": {"iso_code": code, "names": {"en": code}}, "autonomous_system_number": 64496 + number}
    if number % 5 == 0:
        record = {"country": code, "asn": f"AS{64496 + number}", "as_name": "An organization"}
    if number % 7 == 0:
        record = {"registered_country": {"iso_code": code}}
    writer.insert_network(IPSet([str(network)]), record)
writer.to_db_file(path)

reader = maxminddb.open_database(path)
addresses = []
for network in networks:
    first, last = int(network.network_address), int(network.broadcast_address)
    kind = type(network.network_address)
    highest = 2**network.max_prefixlen - 1
    addresses += [kind(it) for it in (first - 1, first, last, last + 1) if 0 <= it <= highest]
found = open(sys.argv[2], "w")
for address in addresses:
    record = reader.get(str(address)) or {}
    country = record.get("country") or record.get("registered_country") or ""
    country = country if isinstance(country, str) else country["iso_code"]
    asn = record.get("autonomous_system_number") or record.get("asn", "AS").removeprefix("AS")
    print(f"{address} {country}-{asn}", file=found)
found.close()
