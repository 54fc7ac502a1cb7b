"""A zone under BIND, whose DS a helper carries there: by CDS or CDNSKEY, or as a person does."""

import signal

import dns.rdatatype
import dns.rdtypes.ANY.DS
from house import House, until
from liveblock import TTL, block
from livescene import Scene, shown
from parentzone import SignedParent
from registrar import Registrar, Wish, ds_record, published
from validator import EAGER, PLAIN, Validator


class CarriedScene(Scene):
    """With a parent, a Zoneward and validators of its own."""

    parent: SignedParent

    def __init__(self, house: House, name: str, observe: str = "@ADDRESS@:@PORT@") -> None:
        """`observe` as in *sign*."""
        super().__init__(house, name)
        self.registrar: Registrar | None = None
        self._observe = observe

    def start(self, policy: str) -> None:
        """The parent, Zoneward, the validators. Whatever of it comes up, `end` ends."""
        house = self.house
        self.parent = SignedParent(house.directory / "parent", self.origin, house.address, TTL)
        self._ends.callback(self.parent.end)
        self.policy(policy)
        self.edit()
        house.run()
        for name, options in (("plain", PLAIN), ("eager", EAGER)):
            resolver = Validator(house.directory, name, self.parent, house.address, options)
            self._ends.callback(resolver.end)
            self.resolvers.append(resolver)
        self.watched_by(self.resolvers, pause=0.006)

    def policy(self, policy: str) -> None:
        """Another *sign* block; taken up at once where Zoneward runs."""
        parent = f"parent {self.parent.address}:{self.parent.port}"
        text = block(self.zone, self.file, parent, f"observe {self._observe}", policy)
        self.house.corefile(text)
        if self.house.process is not None:
            before = len(self.house.lines("took up the Corefile anew"))
            self.house.process.send_signal(signal.SIGHUP)
            taken = "took up the Corefile anew"
            until(lambda: len(self.house.lines(taken)) > before, 10, taken)

    def carry(self, wish: Wish | None = None) -> None:
        """`begin`, with a helper. Without a `wish` it does as the zone's CDS asks for."""
        wish = wish or published(self.house, self.parent, dns.rdatatype.CDS)
        self.registrar = Registrar(self.parent, wish, self.zone)
        self._ends.callback(self.registrar.end)
        self.registrar.start()
        self.begin()

    def stop_registrar(self) -> None:
        assert self.registrar is not None
        self.registrar.end()

    def refuse_wrong(self) -> None:
        if self.registrar is not None:
            assert not self.registrar.faults, f"{self.registrar.faults}\n{self.told()}"
        super().refuse_wrong()

    def changes(self) -> list[tuple[float, tuple[int, ...]]]:
        """When the registrar changed the DS, in Unix seconds, and the tags that it brought."""
        return [] if self.registrar is None else self.registrar.changes

    def moves_told(self) -> list[str]:
        return [f"{at - self._began:6.2f} the parent has DS {tags}" for at, tags in self.changes()]


def carried(scene: CarriedScene) -> Wish:
    """A person who does what `zoneward status` says, with what `zoneward ds show` prints."""
    last: tuple[str, ...] = ()
    wanted: frozenset[dns.rdtypes.ANY.DS.DS] | None = None

    def wish() -> frozenset[dns.rdtypes.ANY.DS.DS] | None:
        nonlocal last, wanted
        todo = scene.status().todo
        if todo and todo != last:
            (delegation,) = shown(scene, "ds", "show")
            wanted = frozenset(map(ds_record, delegation["ds"]))
        last = todo
        return wanted if todo else None

    return wish
