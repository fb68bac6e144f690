"""Words of the trade that are never taken for the name of an item or of a supplier."""

_WORDS = (
    "a about above accuracy after again all also am an and any approval approve are as ask at "
    "available average back backorder be before below between big book box boxes but buffer buy "
    "by can cancel case cases check cheap class cost could cover critical current customer "
    "daily data day days demand did do does dozen draft due each enough eoq eta excess expected "
    "extra far fast fill find first fit for forecast from get give go good had half has have "
    "help high hold how i if in increase inventory is issue it item items its kpi large last "
    "late lead left less level like line lines list long look lot low main make many margin max "
    "may me mean min minimum model month more most move much my name near need new next no not "
    "note now number of off ok old on one open or order ordering orders other our out over pack "
    "pallet part per percent piece pieces plan please po price purchase quantity quarter quick "
    "quote rate raw receive recommend red release reorder report request review rop run safety "
    "sale sales same second see sell send service set shall ship shipment shop short should "
    "show simulate since size slip slow small some soon spring start state status still stock "
    "stop summary supplier suppliers supply target test than thanks that the their them then "
    "there these they third this time to today tomorrow too total track transfer trend two "
    "under unit units up urgent us use value vendor want was week weeks were what when where "
    "which who why will with without work worth would year yes yet you your "
)
PROTECTED = frozenset(_WORDS.split())
