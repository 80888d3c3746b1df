"""Trackers saved before options were fixed still load."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepsort_paddle import DeepSort, Detections

# What `save` wrote at commit 2e6f13f after frames 0 to 7 of `seen`; deflated, in base 85. "strong": that
# preset with frame_rate=10, gallery_size=6; "centred": max_age=12, gallery_size=4, coast=3 and
# observation_centred. The files hold the 33 options of that commit.
SAVED = {
    "strong": (
        "c-qxjYiJx*6rRod(S%ys2CbG=OCGo>**uz1YIdb2LQ_kmrczWklbzY@;J!LD*(7Z$8>6T-2qMxnlu&}$KMH~RL-ElT#ZuHC1"
        "yQR7gD*tuulfKh)_b$(OzyqRKGIo3oc3_`&dhmz_nb46GyQ$VCCyU$xKn!frGXc3z)>!3lr+WI9!re7r1jDa+=Tq)eFG2nA9"
        "P7c=}3d38bQ5br@LX7*45x~H-zH4smrlITvt?jzE_SIDmib2<%CMsjcuMLkNc?G!BOP`KZ<}C1MlYo+VXjz3<Fw60t!ZC!w6"
        "`~T8&D|aPU#ZyK3LVsA_3c@mNSx)L2l(xTfLW>8x>u+E**CP$=a4^pm|lN%H&nSbm$Se;8w_AhCosbIs;l1^7`0yux;O#;)C"
        "%#E9xhL?K;{sz$)j$o>RI5{hi9Yd!snvZmi7^T+2gz#2?HJ*rw&H3hd$WeaO!$h&I2!sX&4_|w1PXN;hdL|{bXYd7m~6U2_k"
        "hxCJ|<y*GX#fJ=4PcHAtBHX!{y(8osmAl<pT<NGz$^NuA2mP}r=yBPH>m@d5r1`nW{JnLLo0odNNMBDqnm+GOS=VpBaEScB0"
        "@n}td34@5^Hdw6Q$;u2Bvokb_#i-v+z~b%9=Ahys^&TdQ(I;;WAp3>i4B{YZyuX#8(-PmH(%<{^tAc##{;Eb{{7ck=_Ze^Gr"
        "fx^cX|EDN54A#{CCwoK3waE+h6$gUfJT2&#o(*7as88y78ll3$d&BSRCbX{r(;8o0AvIEq?68@W;;#ZtKSN+_AU!zuMGk@xD"
        "p3`|A1nZd`YpZ!RS7FSa<!<9h2qmG?b)a+AgPef|CKS0<{vasB$Cva`GA?zVWz)91H-L$2fcT%hUVLzA~y9OZG%=jL;b$M;}"
        "vR+HS6W5IA-w~{jjH>RY5C1;D1<m8?IWB=|2wy?sgOiZKio|^Q1$nAX}=<??GC~(|Lj}Ra3A`~JNC!`aK5|Rm-aBU|cHz6<e"
        "8-COCF+wV#F}OECNF$^Oa_xd#0`%*^qoBtGPR|>H4)ha!8v}bm@Y?{}=u-gv(BPU0axsum1^q3Awi9X<d=>3!U~j~Mjm{i4="
        "<i`0c`xW_vDt?J6TfD&cWr{qFxZIzA@1X#3-LT`<Hrs`7w&<~;K1H*hpEQ+jq)+bL(CyH4=lYlzC;*b46rfG<g}>EgxE*mnj"
        "KCilUE5L=S(IqFedyR0ZdtYAqIQH#-^BK`Q``3xkJzu27SZu+bP~{IdV4wx<?CGFJerhjg{1oUH?KoCexFsKTi|@ug(m$!s^"
        "nQ9;kp#_L^NyWy{$p*s#mXQMjMY2{VK5VxN&A_Y<Il?cppAE49;+2S#>yJB>$SFjhftp)m_*kaene2z(q9YCs2F*kAL}6$4!"
        "w(~kmRW86Uv<mz)tIEVEdWcn%EwewA^X}g%>;J?8<+mcK#7xy^G#9}fzp{y{bT+dak&8T2+1kUBNU%70=Z1QS|>BDyKS7Ht7"
        "OpUX3k<9Qs#N5lb##f@>VCob1OtFc<n*}rR8KD3c3BXVT{i1F5`IS%J*}dDa@3`16S=_Wd_e2rilMB(WI&$EYFZQh&^o4BR^"
        "8?H|Gs}A};(HW`|2ylg*REHve<T`mG!a>zV4Q;C5ORm}UiS`%6Abd_s*j%u6ngz%=v+M;nP=d194RY`s{H?k;I5+PV*Xpw4E"
        "SBn0<e^#@MTF9qTg#!XdNeXiIyev^+uGW-$bV2i$^Udd72pHzmSNs6o0f@!O0p$lJ!MGl%jKfl&a&TdWxk?Q-4tjouyB~sJw"
        "<#QePtRlXX#)4zbaGB`5k55w%9zq8J?%FTx<0hxnaRi5nY>l5~hlN2HXhILXT-8J0(?q8uG?rC@?p&B=`rznO8DC`gA(baX_"
        "CH`q#+%cCYyjy6l$2`TXgXURq}tutF9@Q{w)DlL~~e_!cR_ScYqzYs9?+(uXb0{nlDe*"
    ),
    "centred": (
        "c-qxjdu$X%7~j62w6swK8bR@>N=v+wmR>_c@a~8f6I)4rv<4r!Zg2N`8}Igx-R)5*m;xFV8xn(!h16;qllq4yB=C<f9%@7s{"
        "~$4Hk;KMVjNm__F;Qck;l6J>GugXdyM?sde)(=@_j}H7zS*5=Z7wLRk<!;{>HU}54o<+eP+BT!in&ft?#z>JkOtu)<cGGlJ<"
        "z%>PfAI>Rf=kcjjD~Fs!dvBmDf`hNf?$P>!F09sI-5J95YqYZ${;$O4`-+-nCxO9*>KwBoF+^2VMZYl?!O)SD^(M&|(r$I3}"
        "BBNK@u&R8oeEk1Ekv{sBf+PNPcb5lvC`u!?c@!?XQa<BIsMS6q=uB=E(#mVhJ$1AHuh46b<uV<{%FL^W&9Vy+ncSOC1(addj"
        "FOzg#oDo8{TLyoIv$kfRAgu0W8Y^ie{e)(D9_vpwgBN$*A!q14S_N>|ukM7SF*6z-_>sBlB^7sh;3NHB-BUnTtFk^|ii#i+x"
        "vEuO|{p79vo~?9=PE$2flVdUtPmX7=2)Rb(@wtmD9o6e{FzwB@;E}`h8Vg|iD(f)Q{L~Y{Efr5%=bOGx-|u@o-5>0;@85D}J"
        "Ndr|_uGSfcHTa=uO72gLI>O;v(O&#4oE3-SGj5MdR(TbWVoTDZ{?B9xq0rR<dS7IGtbSHr2{R^BSpbXtIfwhw-<f$@82h-8D"
        "5RYwu}#LstY3Dabfg@A4;17*fw_gUi|HD+2*k?|5277y)S_6>Q8o`(J$X+bCk#SiCcZkQ)d_2{J`O^&!6qM!;kIZ1MfWi#@Y"
        "=wZ{BP9FP~oH$F|=(el&G&fz44K+pGRtwE5|wWj5dX?T>$6++FI&_FLN*oV;iFcAFPIb9&Wx<UY1fh1Q;ZaPN&aM|o`X*bG$"
        ";+=kdJCD@epa5Q1eTX42*@BOemJdeTI|Jn1MZ#LNcv4gK2Z>iiIz_wd(ei}aa(7v&oY<}nO6Yb%36@F~b3OL_gZS#Sbo2y4("
        "E%al1df@aPZ@Zr@oKaOK&_Zl_%F@pvcgAL0V{LBebiGve5+5oFMF=Gb8HD15WI`6)+erN-R7c1QziGctNF~$*&xQzTgcL!}C"
        "&(p1zX3cBdMx0y-xPG9pXgf;*b9T-CfG)wLg0r6_biapK}Hqy*AiMsXuaU8Xio!s-7aiwn8F7A-Q^%(=ir~t_@x6E$E{wF=>"
        "i)uAk6tr(1p3&<=}%jmY9E;$w4;TamH76{B*z|;z!LPkF^fI#28;pu+hcfS=41g?A>tBDNh!Isic56i@^lOgui2uQ`TOD$-U"
        "`dQ^ePFu)*qyg03$3J=?h!{fdF^9kV!38U&l7jhW^KYXs`Cm|8^rdFmQrQ`BWJwNC+?>^-OXG!=g0V8;oUJK%X17gmn`%Ygk"
        "P=wRzNn+vyga?QD0I|`F$74*(_&Y~G)-RkWGAA5v(V1O>Hues>bL6^qhDFillx|j!3;WPz(IH$u*Jw>}tzKQeNDW(MYZ!&9J"
        "imBz|7>AiyECv(G4AzQFYbwsmxL~Ur`f?eosch&DnCfKeu+w{$SQ`yyezS8Tm0>MJ+~tbh>F76^xryVYIK+_a8l^xUl8`?Qb"
        "c=S`wJR6AIla@c@3mMb*_>$^#>1&jvG2y$qE3l<a+~*v!@GTm>2rDyTMz3!>e~ave_LHxkr-k>{7pHYj7{!J1!2PvxywC#kI"
        "&_YKlwTj@SoDtZO=qz_H<-Ecc5FqvZAQU{5yEa%daWm&+i7o?}cmvu0jY-^F$$fMutL*Iid4(+At?(q9i?s>W5RNa!zuT801"
        "f-L|K}Dv|7x`n)#A_3M5L=vlW!8;G~)gq)aC*q7r(3u^)~n$~Yx!3MKwDLlmV42WWp0C;AH!wT}@*F}gWF4x8_Mir*`exUG6"
        "ol5Sknoj*z?oa7h*!{j!$C`UIHQLdDe>n46PTa2P0-SDB?Ih1&VONi%_+drZlEoQV*QQ{5iH%n}3%LW8KrI%Jnlhd-bx#%kT"
        "%gEm)64Z&6wDmu?N+SU"
    ),
}


def seen(number: int) -> Detections:
    """Three people; the second is gone from frame 6."""
    x = np.array([100.0 + 3 * number, 300.0 - 2 * number, 500.0])
    boxes = np.column_stack([x, [50, 60, 70], x + 40, [150, 170, 160]])
    there = np.array([True, number < 6, True])
    return Detections.of(boxes[there], np.array([0.9, 0.8, 0.75])[there], embeddings=np.eye(3, 4)[there])


def stored(folder: Path, name: str, **changed: Any) -> Path:
    """The saved file, with options of its header changed."""
    path = folder / f"{name}.npz"
    path.write_bytes(zlib.decompress(base64.b85decode(SAVED[name])))
    if changed:
        with np.load(path) as archive:
            state = dict(archive)
        header = json.loads(str(state["header"]))
        header["parameters"] |= changed
        state["header"] = np.array(json.dumps(header))
        np.savez(path, **state)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize(
    ("name", "ids", "left"), [("strong", [1, 3], 132.953018), ("centred", [1, 2, 3], 132.906037)]
)
def test_a_tracker_saved_by_an_earlier_version_continues(
    tmp_path: Path, name: str, ids: list[int], left: float
) -> None:
    tracker = DeepSort.load(stored(tmp_path, name))
    assert tracker.update(seen(8)).ids.tolist() == ids  # "centred" coasts for three frames
    tracks = [tracker.update(seen(number)) for number in range(9, 12)][-1]
    assert tracks.ids.tolist() == [1, 3]
    np.testing.assert_allclose(tracks.boxes, [[left, 50, left + 40, 150], [500, 70, 540, 160]], atol=1e-5)


def test_its_options_are_those_it_had(tmp_path: Path) -> None:
    strong = DeepSort.load(stored(tmp_path, "strong")).options
    # The preset as it was then.
    former = {"appearance_weight": 0.5, "max_iou_distance": 0.7}
    former |= {"uncertainty_weight": 0, "coast": 2, "hidden_coast": 0, "size_momentum": 0}
    former |= {"coast_after": 1, "coast_inside": 0}
    assert strong == DeepSort.from_preset("strong", frame_rate=10, gallery_size=6, **former).options
    assert (strong.max_age, strong.iou_max_age) == (100, 25)


@pytest.mark.parametrize("changed", [{"max_age": 12}, {"frame_rate": 0.0, "max_age": 1, "iou_max_age": 1}])
def test_ages_in_frames_hold_where_a_saved_tracker_disagrees(tmp_path: Path, changed: dict[str, Any]) -> None:
    options = DeepSort.load(stored(tmp_path, "strong", **changed)).options
    assert options.max_age == changed["max_age"]
    assert options.frame_rate > 0


def test_an_invalid_saved_option_is_one_line(tmp_path: Path) -> None:
    path = stored(tmp_path, "strong", max_age=-5)
    with pytest.raises(ValueError, match="is not a saved tracker: max_age must be a whole number"):
        DeepSort.load(path)
