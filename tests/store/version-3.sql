-- A store as linechat wrote it with version 3: accounts 7, 8 and 9, a channel, and the guest 20.
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE entries (
        seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, room INTEGER, via INTEGER,
        n INTEGER NOT NULL, prev INTEGER NOT NULL, skip INTEGER NOT NULL, said_n INTEGER NOT NULL, said INTEGER NOT NULL,
        event TEXT NOT NULL, sum INTEGER NOT NULL
    ) STRICT;
INSERT INTO entries VALUES(1,1700000000001,NULL,NULL,0,0,0,0,0,'{"registered":{"who":{"name":"u7","id":7},"password":"$argon2id$v=19$m=19456,t=2,p=1$x"}}',1368356884);
INSERT INTO entries VALUES(2,1700000000002,NULL,NULL,0,0,0,0,0,'{"registered":{"who":{"name":"u8","id":8},"password":"$argon2id$v=19$m=19456,t=2,p=1$x"}}',2985986360);
INSERT INTO entries VALUES(3,1700000000003,NULL,NULL,0,0,0,0,0,'{"registered":{"who":{"name":"u9","id":9},"password":"$argon2id$v=19$m=19456,t=2,p=1$x"}}',1662225622);
INSERT INTO entries VALUES(4,1700000000004,9,NULL,0,0,0,0,0,'{"created":{"channel":"rust","owner":{"name":"u7","id":7},"key":"$phc"}}',1202039885);
INSERT INTO entries VALUES(5,1700000000005,9,NULL,1,0,0,0,0,'{"joined":{"who":{"name":"u7","id":7},"since":0,"rank":1,"lasts":true,"shown":true}}',1450090264);
INSERT INTO entries VALUES(6,1700000000006,9,NULL,2,5,0,0,0,'{"topic":{"who":{"name":"u1","id":1},"text":"ownership"}}',126815519);
INSERT INTO entries VALUES(7,1700000000007,9,7,3,6,6,1,0,'{"said":{"from":{"name":"u7","id":7},"text":"in the channel"}}',2233931265);
INSERT INTO entries VALUES(8,1700000000008,9,8,4,7,0,2,7,'{"said":{"from":{"name":"u8","id":8},"text":"in the channel too"}}',945350056);
INSERT INTO entries VALUES(9,1700000000009,14,8,1,0,0,1,0,'{"said":{"from":{"name":"u8","id":8},"key":"key-1","text":"x"}}',2457043907);
INSERT INTO entries VALUES(10,1700000000010,14,8,2,9,0,2,9,'{"said":{"from":{"name":"u8","id":8},"key":"key-2","text":"xx"}}',2134417035);
INSERT INTO entries VALUES(11,1700000000011,14,8,3,10,10,3,10,'{"said":{"from":{"name":"u8","id":8},"key":"key-3","text":"xxx"}}',2091769631);
INSERT INTO entries VALUES(12,1700000000012,14,8,4,11,0,4,11,'{"said":{"from":{"name":"u8","id":8},"key":"key-4","text":"xxxx"}}',1306770256);
INSERT INTO entries VALUES(13,1700000000013,14,8,5,12,12,5,12,'{"said":{"from":{"name":"u8","id":8},"key":"key-5","text":"xxxxx"}}',2551884268);
INSERT INTO entries VALUES(14,1700000000014,14,8,6,13,12,6,13,'{"said":{"from":{"name":"u8","id":8},"key":"key-6","text":"xxxxxx"}}',2363215703);
INSERT INTO entries VALUES(15,1700000000015,14,NULL,0,0,0,0,0,'{"acked":{"by":7,"upto":12}}',1460836963);
INSERT INTO entries VALUES(16,1700000000016,14,8,7,14,14,7,14,'{"said":{"from":{"name":"u8","id":8},"key":"key-7","text":"xxxxxxx"}}',1112928160);
INSERT INTO entries VALUES(17,1700000000017,14,8,8,16,0,8,16,'{"said":{"from":{"name":"u8","id":8},"key":"key-8","text":"xxxxxxxx"}}',3227096155);
INSERT INTO entries VALUES(18,1700000000018,14,8,9,17,17,9,17,'{"said":{"from":{"name":"u8","id":8},"key":"key-9","text":"xxxxxxxxx"}}',3812444393);
INSERT INTO entries VALUES(19,1700000000019,14,8,10,18,17,10,18,'{"said":{"from":{"name":"u8","id":8},"key":"key-10","text":"xxxxxxxxxx"}}',890185576);
INSERT INTO entries VALUES(20,1700000000020,16,7,1,0,0,1,0,'{"said":{"from":{"name":"u7","id":7},"text":"one"}}',4229790180);
INSERT INTO entries VALUES(21,1700000000021,16,7,2,20,0,2,20,'{"said":{"from":{"name":"u7","id":7},"text":"two"}}',2522980967);
INSERT INTO entries VALUES(22,1700000000022,16,NULL,0,0,0,0,0,'{"acked":{"by":8,"upto":21}}',1806239813);
INSERT INTO entries VALUES(23,1700000000023,18,7,1,0,0,1,0,'{"said":{"from":{"name":"u7","id":7},"text":"naïve"}}',4181102487);
INSERT INTO entries VALUES(24,1700000000024,18,7,2,23,0,2,23,'{"said":{"from":{"name":"u7","id":7},"text":"three"}}',574540153);
INSERT INTO entries VALUES(26,1700000000026,40,7,1,0,0,1,0,'{"said":{"from":{"name":"u7","id":7},"text":"for a guest"}}',884965754);
INSERT INTO entries VALUES(27,1700000000027,40,7,2,26,0,2,26,'{"said":{"from":{"name":"u7","id":7},"text":"and more"}}',1544365411);
CREATE TABLE heads (
        room INTEGER PRIMARY KEY, n INTEGER NOT NULL, seq INTEGER NOT NULL, said_n INTEGER NOT NULL, said INTEGER NOT NULL,
        read_n INTEGER NOT NULL, read INTEGER NOT NULL, hidden INTEGER NOT NULL, sum INTEGER NOT NULL
    ) STRICT;
INSERT INTO heads VALUES(9,4,8,2,8,0,0,4,34361074);
INSERT INTO heads VALUES(14,10,19,10,19,4,12,15,4104228759);
INSERT INTO heads VALUES(16,2,21,2,21,2,21,22,1337376056);
INSERT INTO heads VALUES(18,2,24,2,24,0,0,0,2507667003);
INSERT INTO heads VALUES(40,2,27,2,27,0,0,0,2373533055);
CREATE TABLE keys (
        sender INTEGER NOT NULL, key TEXT NOT NULL, n INTEGER NOT NULL, seq INTEGER NOT NULL, time INTEGER NOT NULL,
        content INTEGER NOT NULL, sum INTEGER NOT NULL, PRIMARY KEY (sender, key)
    ) STRICT, WITHOUT ROWID;
INSERT INTO keys VALUES(8,'key-1',1,9,1700000000009,5874867166171769621,2767131861);
INSERT INTO keys VALUES(8,'key-10',10,19,1700000000019,620050301741096998,31814945);
INSERT INTO keys VALUES(8,'key-2',2,10,1700000000010,-1478396896567796312,2511225925);
INSERT INTO keys VALUES(8,'key-3',3,11,1700000000011,6595466567570155217,3777933705);
INSERT INTO keys VALUES(8,'key-4',4,12,1700000000012,-6800748911558971945,1602277751);
INSERT INTO keys VALUES(8,'key-5',5,13,1700000000013,3346833128675267092,3433966167);
INSERT INTO keys VALUES(8,'key-6',6,14,1700000000014,2702416842483112936,977751565);
INSERT INTO keys VALUES(8,'key-7',7,16,1700000000016,-7755017168950434570,2203244863);
INSERT INTO keys VALUES(8,'key-8',8,17,1700000000017,3040172666165089972,1553732580);
INSERT INTO keys VALUES(8,'key-9',9,18,1700000000018,1047208677174351741,416807328);
CREATE TABLE key_counts (sender INTEGER PRIMARY KEY, count INTEGER NOT NULL, sum INTEGER NOT NULL) STRICT;
INSERT INTO key_counts VALUES(8,10,3421366988);
CREATE TABLE state (key TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO state VALUES('a/7',1);
INSERT INTO state VALUES('a/8',2);
INSERT INTO state VALUES('a/9',3);
INSERT INTO state VALUES('c/4',4);
INSERT INTO state VALUES('c/4/m/7',5);
INSERT INTO state VALUES('c/4/t',6);
CREATE TABLE presence (
        key TEXT PRIMARY KEY, seq INTEGER NOT NULL, time INTEGER NOT NULL, room INTEGER, via INTEGER,
        event TEXT NOT NULL, sum INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
INSERT INTO presence VALUES('s/1/20',25,1700000000025,NULL,NULL,'{"came":{"session":{"node":1,"number":20},"who":{"name":"u20","id":20}}}',657324759);
CREATE TABLE waste (id INTEGER PRIMARY KEY, n INTEGER NOT NULL, seq INTEGER NOT NULL, sum INTEGER NOT NULL) STRICT;
CREATE TABLE newest (id INTEGER PRIMARY KEY, seq INTEGER NOT NULL, sum INTEGER NOT NULL) STRICT;
INSERT INTO newest VALUES(1,25,458062731);
CREATE TABLE floors (room INTEGER PRIMARY KEY, n INTEGER NOT NULL, seq INTEGER NOT NULL, sum INTEGER NOT NULL)
        STRICT;
COMMIT;
