"""Defines the vocabulary of the training texts: hand-written classes and common words.

The common words are single tokens of GPT-2, whose rank is approximately that of their frequency, and are in the
dictionary of pocketsphinx, so that the judges can recognise them.
"""

from __future__ import annotations

import base64
import functools
import zlib
from pathlib import Path


def _words(text: str) -> list[str]:
    return text.split()


PEOPLE = _words("""captain doctor teacher farmer baker sailor painter singer writer driver nurse lawyer judge
    soldier student child woman man girl boy mother father sister brother uncle aunt cousin neighbor friend
    stranger king queen prince princess guard hunter fisherman carpenter gardener waiter cook chef merchant
    shepherd miller tailor banker clerk engineer pilot scientist artist dancer musician poet actor priest
    monk knight wizard giant traveler tourist guest host manager worker butcher cashier librarian professor
    chemist inspector detective reporter editor postman plumber mechanic mayor governor senator president""")
ANIMALS = _words("""dog cat horse cow sheep goat pig chicken duck goose rabbit mouse rat fox wolf bear deer
    lion tiger monkey elephant camel donkey eagle owl crow pigeon sparrow parrot swan turtle frog snake lizard
    spider bee butterfly ant salmon shark whale dolphin crab squirrel beaver otter badger hedgehog panther""")
THINGS = _words("""coin ring key box letter book map lamp candle mirror clock watch knife spoon fork plate cup
    bottle basket bag chair table bed door window wall roof ladder rope hammer nail saw shovel bucket broom
    brush comb blanket pillow curtain carpet picture camera phone radio computer engine wheel wagon cart boat
    ship train truck bicycle airplane balloon kite ball doll drum flute guitar piano violin bell whistle flag
    sword shield arrow helmet coat hat shirt shoe boot glove scarf belt pocket button needle thread ribbon
    paper pencil pen ink stamp envelope package parcel ticket newspaper magazine diary notebook folder
    diamond pearl crown treasure statue painting vase jar kettle pot pan oven stove bread cake pie cheese
    butter milk honey sugar salt pepper soup apple orange lemon banana cherry grape peach melon potato tomato
    carrot onion cabbage bean corn rice flower rose lily tulip leaf branch seed root stone brick glass
    wire""")
PLACES = _words("""lake river mountain hill valley forest desert beach island harbor village town city castle
    tower bridge road street corner square market shop store bakery library museum theater school church
    temple hospital hotel office factory farm barn stable garden park field meadow orchard kitchen cellar
    attic bedroom hallway station airport court prison palace cave cliff shore ocean swamp canyon glacier
    volcano waterfall windmill lighthouse cottage cabin tent camp tunnel canal pier dock basement balcony""")
ADJECTIVES = _words("""old new young big small large tiny huge tall short long wide narrow deep shallow high
    low heavy light dark bright warm cold hot cool wet dry clean dirty rich poor strong weak brave shy proud
    happy sad angry calm quiet loud soft hard smooth rough sharp round flat empty full broken golden silver
    wooden green red blue yellow white black brown purple gray pink strange common rare famous secret hidden
    simple plain fancy cheap costly gentle cruel clever foolish lazy busy tired hungry thirsty sleepy lonely
    friendly careful careless patient honest loyal bitter sweet sour fresh ripe frozen rusty dusty muddy
    foggy stormy windy sunny snowy distant ancient modern fragile solid hollow crooked straight curious
    nervous cheerful""")
VERBS_PAST = _words("""found lost took carried brought sold bought stole hid broke fixed painted cleaned
    washed opened closed dropped lifted pulled pushed threw caught followed watched saw heard loved hated
    wanted needed remembered forgot described noticed touched kept left saved burned buried counted measured
    weighed examined borrowed returned gathered collected arranged repaired destroyed protected attacked
    chased fed visited painted sketched copied studied admired ignored questioned answered praised blamed
    thanked warned promised offered showed handed passed mailed delivered ordered wrapped folded polished
    sharpened moved""")
VERBS_BASE = _words("""find lose take carry bring sell buy steal hide break fix paint clean wash open close
    drop lift pull push throw catch follow watch see hear love hate want need remember forget describe notice
    touch keep leave save burn bury count measure weigh examine borrow return gather collect arrange repair
    destroy protect attack chase feed visit sketch copy study admire ignore question answer praise blame
    thank warn""")
MOTION_PAST = _words("""walked ran jumped climbed swam flew rode drove sailed marched wandered traveled
    hurried crawled danced slipped stumbled rolled turned stopped waited rested slept sat stood stayed lived
    worked""")
ADVERBS = _words("""slowly quickly quietly loudly carefully suddenly finally early late again often never
    always rarely sometimes today yesterday tonight together alone nearby gladly sadly calmly bravely gently
    softly secretly openly easily barely nearly almost happily angrily eagerly patiently politely proudly
    safely""")
PREPOSITIONS = _words(
    "near beside behind under above across inside outside beyond around toward past over by"
)
TIMES = [
    "in the morning",
    "at night",
    "after lunch",
    "before dawn",
    "last week",
    "this evening",
    "every summer",
    "during the storm",
    "on Monday",
    "on Friday",
    "in winter",
    "at noon",
    "all day",
    "for an hour",
    "in December",
    "in April",
    "since March",
    "until sunset",
    "after midnight",
    "last Thursday",
]
NAMES = _words("""Anna Peter Mary John Susan David Linda Robert Karen Michael Laura Thomas Emma Daniel Alice
    George Helen Frank Julia Henry Nancy Edward Diana Walter Martha Arthur Clara Oscar Ruth Victor Sarah
    Philip Rachel Simon Monica Martin Teresa Albert Sophia Leonard Grace Harold Irene Samuel Marie Vincent
    Olivia Gregory Hannah Patrick Rebecca Stephen Natalie Kenneth Isabel Raymond Charlotte Douglas Victoria
    Lawrence""")
TOWNS = _words("""London Paris Berlin Boston Chicago Madrid Vienna Dublin Denver Oxford Cairo Tokyo Moscow
    Seattle Dallas Houston Lisbon Athens Geneva Montreal Toronto Sydney Bristol Cambridge Manchester Florence
    Venice""")
UNITS = _words("""miles pounds dollars minutes hours days weeks months years pages boxes apples horses sailors
    tickets letters bottles chapters soldiers meters feet gallons degrees percent stories rooms windows""")
SMALL = _words(
    "the a an and or but of to in on at by for with from is was were are be has had have not no it he "
    "she they we you i his her their our your my this that these those there here when where who what "
    "which because before after then than as if so up down out over under again very will would can "
    "could should may might must do did does all some many few each every other more most"
)

NUMBERS = _words("""one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred""")

HAND_WRITTEN = sorted(
    {
        w.lower()
        for group in (
            PEOPLE,
            ANIMALS,
            THINGS,
            PLACES,
            ADJECTIVES,
            VERBS_PAST,
            VERBS_BASE,
            MOTION_PAST,
            ADVERBS,
            PREPOSITIONS,
            NAMES,
            TOWNS,
            UNITS,
            SMALL,
        )
        for w in group
    }
)

_UNWANTED = frozenset(
    _words("""sex porn rape nazi gay lesbian slave slut bitch whore fuck shit cunt dick cock ass
    nude naked penis vagina anal orgasm erotic fetish suicide terrorist kill murder homicide bomb negro jew
    muslim islam christian jesus allah isis hitler trump obama clinton biden putin drug cocaine heroin
    abortion damn hell bastard incest blowjob handjob cum tits boobs pussy masturb terrorism jihad racist""")
)


@functools.cache
def dictionary() -> frozenset[str]:
    """Returns the lower-case words of pocketsphinx's English dictionary (CMUdict)."""
    import pocketsphinx

    path = Path(pocketsphinx.get_model_path("en-us")) / "cmudict-en-us.dict"
    lines = path.read_text(encoding="utf-8").splitlines()
    return frozenset(line.split()[0] for line in lines if line and "(" not in line.split()[0])


@functools.cache
def common(limit: int = 2000) -> tuple[str, ...]:
    """Returns the `limit` most frequent single-token words of GPT-2 that are in the dictionary, by rank."""
    import whisper

    path = Path(whisper.__file__).parent / "assets" / "gpt2.tiktoken"
    found: list[str] = []
    for line in path.read_text().splitlines():
        token = base64.b64decode(line.split()[0]).decode("utf-8", "ignore")
        word = token[1:]
        if (
            token.startswith(" ")
            and word.isascii()
            and word.isalpha()
            and word.islower()
            and len(word) > 2
            and any(vowel in word for vowel in "aeiouy")
            and word in dictionary()
            and word not in _UNWANTED
        ):
            found.append(word)
    return tuple(found[:limit])


@functools.cache
def held_out() -> tuple[str, ...]:
    """Returns the common words that no training text contains: one in twenty by hash, not hand-written or numbers."""
    known = {*HAND_WRITTEN, *NUMBERS}
    return tuple(w for w in common() if w not in known and len(w) > 3 and zlib.crc32(w.encode()) % 20 == 0)


@functools.cache
def trainable() -> tuple[str, ...]:
    """Returns the common words that training texts may contain, by rank."""
    out = set(held_out())
    return tuple(w for w in common() if w not in out)


@functools.cache
def uncommon() -> tuple[str, ...]:
    """Returns 6,000 less frequent words, from which the model learns to pronounce unknown words."""
    return common(8000)[2000:]
