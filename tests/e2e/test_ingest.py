"""A newcomer's first hour: an empty folder, five files, a plan."""

import json
from pathlib import Path

from tests.e2e.conftest import quartermaster

FILES = {
    "items": "sku,name,unit cost,unit price\nLAMP,Desk lamp,3.10,7.95\nBULB,Light bulb,0.40,1.20\n",
    "suppliers": "code,name,sku,price,moq,case size,lead time days\n"
    "ACME,Acme,LAMP,3.10,24,12,9\nACME,Acme,BULB,0.40,100,50,9\n",
    "sales": "date,sku,quantity\n"
    + "".join(
        f"{year}-{month:02}-{day:02},{sku},{units + day % 3}\n"
        for year, month in [(2025, 5), (2025, 6), (2025, 7)]
        for day in range(1, 29)
        for sku, units in (("LAMP", 4), ("BULB", 11))
    ),
    "stock": "sku,on_hand\nLAMP,12\nBULB,900\n",
    "orders": "po,supplier,sku,quantity,price,order date,promise date,received\n"
    "PO-1001,ACME,LAMP,48,3.10,2025-07-20,2025-08-02,0\n",
}


def test_five_files_a_plan_and_the_day(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    added = quartermaster("users", "add", "pat", "--role", "planner", data_dir=data_dir)
    assert added.returncode == 0, added.stderr

    for kind in ("items", "suppliers", "stock", "sales", "orders"):
        file = tmp_path / f"{kind}.csv"
        file.write_text(FILES[kind], encoding="utf-8")
        done = quartermaster("ingest", kind, str(file), "--json", data_dir=data_dir)
        assert done.returncode == 0, done.stdout + done.stderr
        report = json.loads(done.stdout)["data"]
        assert (report["state"], report["rows_bad"]) == ("published", 0)

    planned = quartermaster("plan", "--json", data_dir=data_dir)
    assert planned.returncode == 0, planned.stdout + planned.stderr
    today = quartermaster("today", "--json", data_dir=data_dir)
    assert today.returncode == 0, today.stdout + today.stderr
    assert json.loads(today.stdout)["ok"] is True
